"""The factstore API as a child: gunicorn with its workers, and the configuration it reads."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from factstore.cmd.processes.ports import LOOPBACK
from factstore.cmd.processes.private_file import write_private
from factstore.cmd.processes.probe import Probe
from factstore.cmd.processes.process import Child, Pause, python_environment

Options = Mapping[str, Mapping[str, str | int]]
"""Configuration: section to option to value."""

API_ARGV = (
    *(sys.executable, "-m", "gunicorn"),
    *("--config", "python:factstore.wsgi.server.gunicorn"),
    "factstore.wsgi.api:application",
)


def write_options(path: Path, options: Options) -> None:
    """Write ``options`` as an oslo.config file, mode 0600. Raises OSError.

    Raises ValueError for a value of several lines, which would read as something else.
    """
    lines = []
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
    """The gunicorn master and its workers. Where it listens, its configuration file says.

    The verbs act at once; only :meth:`wait_ready` waits for it to serve.
    """

    def __init__(
        self, config: Path, port: int, log_path: Path, *, argv: Sequence[str] = API_ARGV
    ) -> None:
        """``port`` is the one in ``config``; ``argv`` may put another program in its place."""
        self.config = config
        self.url = f"http://{LOOPBACK}:{port}"
        self.log_path = log_path
        # On SIGKILL the master could not take its workers along; on SIGQUIT it does so at once.
        self.child = Child("the API", death_signal=signal.SIGQUIT)
        self._argv = list(argv)
        self._probe = Probe(self.url)

    def start(self) -> None:
        """Start it and return at once. Raises ChildError."""
        env = {**python_environment(), "OS_FACTSTORE_CONFIG_FILES": str(self.config)}
        self.child.start(self._argv, log_path=self.log_path, env=env)

    def healthy(self) -> bool:
        """Whether ``/healthcheck`` answers 200, which it does while etcd can be reached."""
        return self._probe.status("/healthcheck") == 200

    def wait_ready(self, deadline: float = 30.0, pause: Pause = time.sleep) -> None:
        """Return once it is healthy. Raises ChildError."""
        self.child.wait_until(self.healthy, deadline, pause)

    def stop(self, deadline: float = 5.0) -> None:
        """End it cleanly; after ``deadline`` seconds by force, workers included."""
        self.child.terminate(deadline)

    def kill(self) -> None:
        """SIGKILL the master and all workers."""
        self.child.kill9()

    def workers(self) -> list[int]:
        """Process ids of the workers, oldest first."""
        return self.child.offspring()
