"""The factstore API as a child process: its master, its workers and its configuration."""

from __future__ import annotations

import signal
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from factstore.cmd.processes.ports import LOOPBACK
from factstore.cmd.processes.private_file import write_private
from factstore.cmd.processes.probe import Probe
from factstore.cmd.processes.process import READY_SECONDS, Child, Pause, python_environment

Options = Mapping[str, Mapping[str, str | int]]
"""Configuration: options and their values by section."""

API_ARGV = (sys.executable, "-m", "factstore.cmd.serve")


def write_options(path: Path, options: Options, *, heading: str = "") -> None:
    """Write ``options`` as an oslo.config file, mode 0600, after a comment. Raises OSError.

    Raises ValueError if a value has several lines, because it would be parsed as further options.
    """
    lines = [*textwrap.wrap(heading, initial_indent="# ", subsequent_indent="# "), ""]
    for section, values in options.items():
        lines.append(f"[{section}]")
        for name, value in values.items():
            text = str(value)
            if "\n" in text:
                raise ValueError(f"[{section}] {name} has several lines")
            lines.append(f"{name} = {text.replace('$', '$$')}")
        lines.append("")
    write_private(path, "\n".join(lines))


class ApiProcess:
    """The master and its workers. The configuration file sets their address.

    The methods return at once; only :meth:`wait_ready` waits until the API serves requests.
    """

    def __init__(
        self,
        config: Path,
        port: int,
        log_path: Path,
        *,
        argv: Sequence[str] = API_ARGV,
        own_config: Path | None = None,
    ) -> None:
        """``port`` must equal the port in ``config``; ``argv`` can replace the program.

        If ``own_config`` exists, its options override those in ``config``.
        """
        self.config = config
        self._own_config = own_config
        self.url = f"http://{LOOPBACK}:{port}"
        self.log_path = log_path
        # After SIGKILL the master could not stop its workers; on SIGQUIT it stops them at once.
        self.child = Child("the API", death_signal=signal.SIGQUIT)
        self._argv = list(argv)
        self._probe = Probe(self.url)

    def start(self) -> None:
        """Start the API and return at once. Raises ChildError."""
        files = [self.config]
        if self._own_config is not None and self._own_config.exists():
            files.append(self._own_config)
        named = ";".join(map(str, files))
        env = {**python_environment(), "OS_FACTSTORE_CONFIG_FILES": named}
        self.child.start(self._argv, log_path=self.log_path, env=env)

    def healthy(self) -> bool:
        """Return True if ``/healthcheck`` returns 200, which requires etcd."""
        return self._probe.status("/healthcheck") == 200

    def wait_ready(self, deadline: float = READY_SECONDS, pause: Pause = time.sleep) -> None:
        """Wait until the API is healthy. Raises ChildError."""
        self.child.wait_until(self.healthy, deadline, pause)

    def stop(self, deadline: float = 5.0) -> None:
        """Stop the API and its workers; after ``deadline`` seconds, kill them."""
        self.child.terminate(deadline)

    def kill(self) -> None:
        """SIGKILL the master and all workers."""
        self.child.kill()

    def workers(self) -> list[int]:
        """Return the process ids of the workers, oldest first."""
        return self.child.children()
