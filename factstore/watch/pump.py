"""The pump applies the database's watch to the state and publishes the events to the hub.

If the connection breaks, the pump resumes where it stopped.  If the history that it needs was
compacted, it restarts from the current state and resets all readers.  Only the pump changes the state.
"""

from __future__ import annotations

import logging
import threading

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.history_store import StateMachine
from factstore.core.model.cursor import Cursor
from factstore.core.ports import Backend
from factstore.core.services.outage_log import OutageLog
from factstore.watch.history_fill import HistoryFill
from factstore.watch.hub import Hub

LOG = logging.getLogger(__name__)

BACKOFF_FIRST = 0.01  # seconds before the second try; enough to connect to another member of etcd
BACKOFF_LIMIT = 0.25
STOP_SECONDS = 5.0
STOP_TRIES = 50


class Pump:
    """A thread that follows *backend*, applies its steps to *state*, and publishes to *hub*.

    :param fill: reads the history before the first snapshot, so that this can be a recent one; None to
        begin with the oldest.
    """

    def __init__(
        self, backend: Backend, state: StateMachine, hub: Hub, fill: HistoryFill | None = None
    ) -> None:
        self._backend = backend
        self._state = state
        self._hub = hub
        self._fill = fill
        self._outage = OutageLog(LOG)
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        if self._fill is not None:
            self._fill.stop()
        for _ in range(STOP_TRIES):  # the thread misses an interruption before it follows
            self._backend.interrupt()
            if self._thread is None:
                return
            self._thread.join(STOP_SECONDS / STOP_TRIES)
            if not (self._thread.is_alive() or (self._fill is not None and self._fill.alive)):
                return

    @property
    def alive(self) -> bool:
        """True if the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until the state has been loaded; return False after *timeout* seconds."""
        return self._ready.wait(timeout)

    def fill_history(self) -> None:
        """Let the history before the first snapshot be read, because the worker is ready."""
        if self._fill is not None:
            self._fill.allow()

    def _run(self) -> None:
        backoff = BACKOFF_FIRST
        at: int | None = None
        while not self._stopping.is_set():
            try:
                if at is None:
                    at = self._open()
                before = at
                for step in self._backend.follow(at):
                    self._outage.succeeded("the watch continues")
                    if step.revision > at:  # a lagging etcd member may repeat steps
                        result = self._state.apply(step)
                        self._hub.publish(step.revision, result.events, result.touched)
                        at = step.revision
                    if at > before:
                        backoff = BACKOFF_FIRST
                    if self._stopping.is_set():
                        return
            except CursorExpired as error:
                LOG.warning("the watch restarts from the current state: %s", error)
                at = None
                continue
            except Unavailable as error:
                if self._stopping.is_set():
                    return
                self._outage.failed("the watch was interrupted: %s", error)
            except Exception:
                LOG.exception("the watch failed; it restarts from the current state")
                at = None
            self._stopping.wait(backoff)
            backoff = min(backoff * 2, BACKOFF_LIMIT)

    def _open(self) -> int:
        first = not self._ready.is_set()
        snapshot = self._backend.open(recent=first and self._fill is not None)
        at = Cursor(snapshot.epoch, snapshot.revision)
        # The state and the events are never those of two stores.
        self._state.load(snapshot, lambda place: self._hub.reset(at, snapshot.since, place))
        if self._fill is not None and snapshot.since is not None:
            self._fill.begin(snapshot, self._state.state())
        self._ready.set()
        return snapshot.revision
