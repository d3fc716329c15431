"""A notifier as a child process."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from factstore.cmd.processes.ports import LOOPBACK
from factstore.cmd.processes.probe import Probe
from factstore.cmd.processes.process import READY_SECONDS, Child, Pause, python_environment

NOTIFY_ARGV = (sys.executable, "-m", "factstore.cmd.notify")


class NotifierProcess:
    """A process that delivers events. The configuration files set the port of its healthcheck."""

    def __init__(self, configs: Sequence[Path], port: int, log_path: Path) -> None:
        self._configs = configs
        self.url = f"http://{LOOPBACK}:{port}"
        self.log_path = log_path
        self.child = Child("the notifier")
        self._probe = Probe(self.url)

    def start(self) -> None:
        """Start the process and return at once. Raises ChildError."""
        files = ";".join(str(each) for each in self._configs if each.exists())
        env = {**python_environment(), "OS_FACTSTORE_CONFIG_FILES": files}
        self.child.start(NOTIFY_ARGV, log_path=self.log_path, env=env)

    def healthy(self) -> bool:
        """Return True if the notifier answers, which requires etcd."""
        return self._probe.status("/healthcheck") == 200

    def wait_ready(self, deadline: float = READY_SECONDS, pause: Pause = time.sleep) -> None:
        """Wait until the notifier is healthy. Raises ChildError."""
        self.child.wait_until(self.healthy, deadline, pause)

    def stop(self, deadline: float = 10.0) -> None:
        """Let others take over, and stop; after ``deadline`` seconds, kill it."""
        self.child.terminate(deadline)

    def kill(self) -> None:
        """SIGKILL it."""
        self.child.kill()
