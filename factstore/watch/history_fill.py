"""The history before a worker's first snapshot, read when the worker is ready.

A worker could begin with the oldest snapshot and follow everything.  But then it could not serve before
the whole history has been read, although few requests need it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

from factstore.core.errors import CursorExpired, FactstoreError, Unavailable
from factstore.core.history_store import KnownFact, Snapshot
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Fact
from factstore.core.ports import Backend, Clock
from factstore.core.services.outage_log import OutageLog
from factstore.core.services.time_slice import TimeSlice
from factstore.core.state.past_state import PastState
from factstore.core.state.state import State
from factstore.watch.hub import Hub
from factstore.watch.past_events import PastEvents

T = TypeVar("T")

LOG = logging.getLogger(__name__)

READY_SECONDS = 10.0  # after which the history is read even if the worker is not ready
RETRY_SECONDS = 0.25


class HistoryFill:
    """A thread that makes the past events again, on a state of its own, and gives them to the hub."""

    def __init__(self, backend: Backend, hub: Hub, clock: Clock) -> None:
        self._backend = backend
        self._hub = hub
        self._clock = clock
        self._allowed = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, snapshot: Snapshot, state: State) -> None:
        """Read the history before a snapshot once that is allowed.

        :param state: the one that has been loaded from the snapshot.
        """
        self._thread = threading.Thread(
            target=self._run, args=(snapshot, state), name="history-fill", daemon=True
        )
        self._thread.start()

    def allow(self) -> None:
        """Begin to read, because the worker is ready."""
        self._allowed.set()

    def stop(self) -> None:
        """Let the thread end; an interruption of the backend ends what it reads."""
        self._stopping.set()
        self._allowed.set()

    @property
    def alive(self) -> bool:
        """True while the history is still to be read."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self, snapshot: Snapshot, state: State) -> None:
        self._allowed.wait(READY_SECONDS)
        outage = OutageLog(LOG)
        while not self._stopping.is_set():
            past: PastEvents | None = None
            try:
                past = self._read(snapshot, state)
                outage.succeeded("the history before the start was read")
            except CursorExpired as error:
                LOG.warning("the history before the start cannot be read: %s", error)
            except FactstoreError as error:
                if self._stopping.is_set():
                    return
                outage.failed("the history is read again, because that was interrupted: %s", error)
                self._stopping.wait(RETRY_SECONDS)
                continue
            except Exception:
                LOG.exception("the history before the start could not be read")
            self._hub.put_past(past, Cursor(snapshot.epoch, snapshot.revision))
            return

    def _read(self, snapshot: Snapshot, state: State) -> PastEvents:
        since, pauses = snapshot.since or 0, TimeSlice(self._clock)
        if state.revision <= snapshot.revision:  # the backend needs a step at which it can end
            self._backend.bump_revision(self._clock.monotonic() + READY_SECONDS)
        past, events = PastState(since, snapshot.epoch), self._hub.new_past(since)
        history = self._backend.read_past(since, snapshot.revision, _known_in(state))
        past.load(pauses.each(self._until_stopped(history.contents)))
        for step in pauses.each(self._until_stopped(history.steps)):
            events.add(step.revision, past.apply(step).events)
        past.complete(state)
        # It raises CursorExpired if the history may be that of a store which was restored meanwhile.
        self._backend.head(self._clock.monotonic() + READY_SECONDS)
        return events

    def _until_stopped(self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            if self._stopping.is_set():
                raise Unavailable("The worker is stopping.")
            yield item


def _known_in(state: State) -> KnownFact:
    """Return a function that finds facts in a state."""

    def find(stack_id: str, path: str) -> Fact | None:
        stack_state = state.stack_state(stack_id)
        return stack_state.facts.get(path) if stack_state is not None else None

    return find
