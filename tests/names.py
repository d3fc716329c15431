"""Programs that see other names than this machine, as in a container or on a host without DNS."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from factstore.cmd.processes.process import Child

_SCRIPT = (
    'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'
)
NO_SERVER = "nameserver 127.0.0.9\nsearch example.org\n"
"""The settings of a resolver whose name server does not exist."""


def with_names(directory: Path, hosts: str, resolv: str = NO_SERVER) -> list[str]:
    """Return the beginning of a command line whose program has its own files of names.

    The files ``hosts`` and ``resolv.conf`` are in the directory. Skips the test without privileges.
    """
    for name, text in (("hosts", hosts), ("resolv.conf", resolv)):
        (directory / name).write_text(text)
    files = [str(directory / "hosts"), str(directory / "resolv.conf")]
    command = ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", *files]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"only root can replace /etc/hosts for a program: {tried.stderr}")
    return command


class ChildWithNames(Child):
    """A child process that sees its own names.

    :param command: as :func:`with_names` returns it.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        super().__init__(name)
        self._command = command

    def start(
        self,
        argv: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Run ``argv`` with these names."""
        super().start([*self._command, *argv], log_path=log_path, env=env, cwd=cwd)
