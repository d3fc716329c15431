"""gunicorn's master process: it starts the bundled workers, and replaces them without a pause.

gunicorn's own master stops the old workers as soon as it has forked new ones, so requests wait until
those have loaded the application and read the store.  If they cannot start, it ends the service.
"""

from __future__ import annotations

import gc
import importlib
import math
import queue
import select
import signal
import time
from collections.abc import Sequence
from typing import Any

from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from factstore.wsgi import configuration
from factstore.wsgi.unknown_options import unknown_options

SETTINGS = "factstore.wsgi.server.gunicorn"
APPLICATION = "factstore.wsgi.api:application"

START_SECONDS = 60.0  # for new workers to load; after that, they replace the old ones as they are
READ_SECONDS = (
    10.0  # for loaded workers to read a store that has not answered; then the old ones remain
)
_POLL_SECONDS = 0.05
_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Master(Arbiter):
    """The master process."""

    _halting = False

    def start(self) -> None:
        """Open the listening sockets; from here on, garbage is collected."""
        super().start()
        gc.freeze()  # objects that exist now are permanent, in the workers, too
        gc.enable()

    def reload(self) -> None:
        """Replace the workers, unless the configuration cannot be used."""
        try:
            unknown = unknown_options(configuration.read())
        except configuration.ERRORS as error:
            reason = configuration.describe(error)
            self.log.error("The workers are not replaced: the configuration %s", reason)
            return
        if unknown:
            self.log.warning("The configuration: %s", " ".join(unknown))
        super().reload()

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        """Stop the workers; raises SystemExit."""
        self._halting = True
        super().halt(reason, exit_status)

    def reap_workers(self) -> None:
        """Note which workers have ended.

        :raises HaltServer: one could not start, with the status of the command; others that follow it
            change nothing.
        """
        while True:
            try:
                super().reap_workers()
            except HaltServer as error:
                if not self._halting:
                    is_configuration = error.exit_status == self.APP_LOAD_ERROR
                    raise HaltServer(error.reason, 1 if is_configuration else 3) from None
            else:
                return

    def manage_workers(self) -> None:
        """Start missing workers, and stop old ones when enough new ones are ready."""
        new = sorted(self.WORKERS.values(), key=lambda worker: worker.age)[-self.num_workers :]
        if len(self.WORKERS) > len(new) and not self._become_ready(new):
            return
        super().manage_workers()

    def _become_ready(self, new: list[Any]) -> bool:
        """Wait for new workers; if they cannot serve, stop them and return False."""
        began = time.monotonic()
        loaded_at = math.inf
        while not self._has_arrived(_STOPS):
            try:
                self.reap_workers()
            except HaltServer as error:
                return self._keep_old(new, f"new ones cannot start: {error}")
            alive, now = [worker for worker in new if worker.pid in self.WORKERS], time.monotonic()
            if all(getattr(worker, "has_read", True) for worker in alive):
                return True
            if all(worker.is_ready for worker in alive):
                loaded_at = min(loaded_at, now)
                if now >= loaded_at + READ_SECONDS or self._has_arrived([signal.SIGHUP]):
                    return self._keep_old(new, "new ones cannot read the store")
            elif now >= began + START_SECONDS:
                return True
            time.sleep(_POLL_SECONDS)
        return True

    def _keep_old(self, new: list[Any], reason: str) -> bool:
        """Stop new workers; return False."""
        self.log.error("The old workers remain, because %s", reason)
        for worker in new:
            if worker.pid in self.WORKERS:
                self.kill_worker(worker.pid, signal.SIGTERM)
        return False

    def _has_arrived(self, signals: Sequence[int]) -> bool:
        """Return True if one of some signals has arrived, which the main loop handles."""
        arrived = []
        while True:
            try:
                arrived.append(self.SIG_QUEUE.get_nowait())
            except queue.Empty:
                break
        for each in arrived:
            self.SIG_QUEUE.put(each)
        return any(each in signals for each in arrived)


class Server(BaseApplication):
    """gunicorn with the bundled settings; ``GUNICORN_CMD_ARGS`` takes precedence."""

    def load_config(self) -> None:
        """Read the settings."""
        settings = vars(importlib.import_module(SETTINGS))
        arguments = self.cfg.parser().parse_args(self.cfg.get_cmd_args_from_env())
        given = {name: value for name, value in vars(arguments).items() if value is not None}
        for name, value in {**settings, **given}.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application, in a worker."""
        return util.import_app(APPLICATION)

    def run(self) -> None:
        """Serve until a signal; raises SystemExit."""
        try:
            time.sleep(0.000_001)
        except (
            OSError
        ):  # libfaketime, without monotonic time, fails the absolute sleeps of Python 3.11
            time.sleep = _sleep  # type: ignore[assignment]
        Master(self).run()


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)
