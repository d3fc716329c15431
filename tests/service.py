"""The API as its users see it: whole processes on a port."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from factstore.cmd.processes.api import ApiProcess, Options, write_options
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.notifier import NotifierProcess
from factstore.cmd.processes.ports import LOOPBACK, free_port
from factstore.keys.rotation import create, locked_repository
from tests.forked_child import ForkedChild

UNDISTURBED: set[str] = set()
"""The endpoints of etcds that no test disturbs."""

PATIENCE = 60.0
"""The seconds that services wait for these, because the machine may stand still for a while."""


class ApiServer:
    """A gunicorn master with workers on a port of its own; a context manager that runs it.

    The address stays the same through :meth:`restart` and after a kill.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        state_dir: Path,
        *,
        workers: int = 1,
        auth: str = "none",
        keystone: KeystoneServer | None = None,
        options: Options | None = None,
        argv: Sequence[str] | None = None,
        port: int | None = None,
    ) -> None:
        """Write the configuration; ``options`` extend or override it, section by section.

        :param argv: the program; by default, a fork of a process that has imported its modules.
        """
        assert (auth == "keystone") == (keystone is not None), "these go together"
        port = port or free_port()
        sections: dict[str, Mapping[str, str | int]] = {
            "DEFAULT": {"auth_strategy": auth},
            "api": {"host": LOOPBACK, "port": port, "workers": workers},
            "etcd": {"endpoints": ",".join(endpoints)},
            "limits": {"requests_per_second": -1},  # tests are in a hurry
            "sealing": {"key_repository": str(state_dir / "sealing-keys")},
        }
        if keystone is not None:
            sections["keystone_authtoken"] = keystone.accounts.authtoken_options()
        if UNDISTURBED.issuperset(endpoints):
            sections["etcd"] = {**sections["etcd"], "timeout": str(PATIENCE)}
        for name, values in (options or {}).items():
            sections[name] = {**sections.get(name, {}), **values}
        state_dir.mkdir(parents=True, exist_ok=True)
        self.sealing_keys = state_dir / "sealing-keys"
        with locked_repository(self.sealing_keys) as repository:
            create(repository)
        self.config = state_dir / "factstore.conf"
        write_options(self.config, sections)
        log = state_dir / "api.log"
        self._process = (
            make_api(self.config, port, log)
            if argv is None
            else ApiProcess(self.config, port, log, argv=argv)
        )

    @property
    def url(self) -> str:
        return self._process.url

    @property
    def log_path(self) -> Path:
        return self._process.log_path

    def start(self, *, wait: bool = True) -> None:
        """Start the API; with ``wait``, until it is healthy, which requires etcd."""
        self._process.start()
        if wait:
            self.wait_ready()

    def wait_ready(self, deadline: float = 90.0) -> None:
        """Wait until the API is healthy, on a machine that other tests keep busy."""
        self._process.wait_ready(deadline)

    def healthy(self) -> bool:
        return self._process.healthy()

    def workers(self) -> list[int]:
        """Return the process ids of the workers, oldest first."""
        return self._process.workers()

    def kill(self) -> None:
        """Kill the master and all workers."""
        self._process.kill()

    def kill_worker(self) -> int:
        """Kill the oldest worker, which the master replaces, and return its process id."""
        worker = self.workers()[0]
        os.kill(worker, signal.SIGKILL)
        return worker

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the master."""
        self._process.child.send_signal(number)

    def pause(self) -> None:
        """Pause the master and all workers."""
        self._process.child.pause()

    def resume(self) -> None:
        self._process.child.resume()

    def stop(self, deadline: float = 60.0) -> None:
        """Stop the API; after ``deadline`` seconds, kill it."""
        self._process.stop(deadline)

    def restart(self) -> None:
        """Restart the API at the same address, and wait until it is healthy."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop(5.0)


def make_api(config: Path, port: int, log: Path, *, own_config: Path | None = None) -> ApiProcess:
    """Return an API that is a fork of a process that has imported its modules."""
    api = ApiProcess(config, port, log, own_config=own_config)
    api.child = ForkedChild("the API", death_signal=signal.SIGQUIT)
    return api


def make_notifier(configs: Sequence[Path], port: int, log_path: Path) -> NotifierProcess:
    """Return a notifier that is a fork of a process that has imported its modules."""
    notifier = NotifierProcess(configs, port, log_path)
    notifier.child = ForkedChild("the notifier")
    return notifier


def check_log(server: ApiServer, *secrets: str) -> None:
    """Check that the service has logged no internal error and none of these strings."""
    text = server.log_path.read_text(errors="replace")
    at = text.find("Traceback")
    assert at < 0, text[max(0, at - 500) :][:4000]
    for secret in secrets:
        assert secret not in text
