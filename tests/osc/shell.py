"""Runs commands of OpenStackClient in the process of the test, which takes a hundredth of a new one."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """The end of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output of ``-f json``."""
        return json.loads(self.out)


class Shell:
    """OpenStackClient with global options, such as those that name a service."""

    def __init__(self, *options: str) -> None:
        self._options = options

    def __call__(self, *arguments: str, output: io.StringIO | None = None) -> Result:
        """Run a command, and return its end."""
        output = output or io.StringIO()
        # Here, because each process of a run imports this module, and few run commands.
        with warnings.catch_warnings(action="ignore"):
            # It comes with Heat, and takes a third of the time to start.
            sys.modules.setdefault("osprofiler", None)  # type: ignore[arg-type]
            from openstackclient.common.clientmanager import ClientManager
            from openstackclient.shell import OpenStackShell
        with _own_logging() as errors:
            shell = OpenStackShell()
            cache = inspect.getattr_static(ClientManager, "contextualization")
            cache._handle = None  # it is that of the class
            shell.stdout = output
            try:
                status = shell.run([*self._options, *arguments])
            except SystemExit as end:  # argparse
                status = int(end.code or 0)
        # Plugins of other projects cannot all be loaded.
        lines = [line for line in errors.getvalue().splitlines() if "Could not load" not in line]
        return Result(status, output.getvalue(), "\n".join(lines))

    def ok(self, *arguments: str) -> str:
        """Run a command that has to succeed, and return its output."""
        result = self(*arguments)
        assert result.status == 0, result.err
        return result.out

    def json(self, *arguments: str) -> Any:
        """Run a command that has to succeed, and return its output as JSON."""
        return json.loads(self.ok(*arguments, "-f", "json"))

    def refused(self, *arguments: str, status: int = 1) -> str:
        """Run a command that has to fail without output, and return the error."""
        result = self(*arguments)
        assert (result.status, result.out) == (status, ""), result
        return result.err


@contextlib.contextmanager
def _own_logging() -> Iterator[io.StringIO]:
    """Remove the handlers that OpenStackClient adds, and yield what they and argparse print."""
    root, errors = logging.getLogger(), io.StringIO()
    level, handlers = root.level, list(root.handlers)
    with contextlib.redirect_stderr(errors), warnings.catch_warnings(action="ignore"):
        try:
            yield errors
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
