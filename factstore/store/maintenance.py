"""Periodic tasks of every worker: keep the watch current, purge what was deleted, and compact etcd."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from factstore.core.errors import FactstoreError
from factstore.core.model.cursor import Cursor
from factstore.core.ports import Clock
from factstore.core.services.control_loop import ControlLoop
from factstore.store.followed import Followed

LOG = logging.getLogger(__name__)

PERIOD = 5.0  # seconds between rounds
CALL_SECONDS = 10.0
NOTE_SECONDS = 30.0  # between two notes of how far a worker has followed
LAST_NOTE_SECONDS = 0.5  # for the note of a worker that stops


class MaintainedStore(Protocol):
    """The part of the store that maintenance needs."""

    def is_behind(self, deadline: float) -> bool: ...

    def catch_up(self, deadline: float) -> None: ...

    @property
    def notes_lost_history(self) -> bool: ...

    @property
    def needs_write(self) -> bool: ...


class MaintainedBackend(Protocol):
    """The part of the backend that maintenance needs."""

    def purge_deleted(self, deadline: float) -> None: ...

    def compact(self, revision: int, deadline: float) -> None: ...

    @property
    def followed(self) -> Followed: ...

    def try_compaction_turn(self, seen: int, deadline: float) -> tuple[bool, int, int]: ...


class Maintenance(ControlLoop):
    """A thread that runs the tasks.

    Compaction: once in a window, one worker stores the current revision in a key, if no other worker
    has done so since it last read the key.  This worker then compacts etcd to the revision that was
    stored one window before.  So history is kept for one to two windows, with any number of workers.

    :param window: seconds; 0 disables compaction.
    :param report: updates metrics; called in each round, even if etcd does not answer.
    :param revoke_idle: revokes leases that nothing is attached to; called with a deadline.
    :param release_buffer: lets etcd release its buffer after many writes; called with a deadline.
    :param published: returns the cursor up to which this worker has published events.
    """

    name = "maintenance"
    delayed = "maintenance is postponed"
    stop_seconds = CALL_SECONDS

    def __init__(
        self,
        store: MaintainedStore,
        backend: MaintainedBackend,
        clock: Clock,
        *,
        window: float,
        published: Callable[[], Cursor],
        report: Callable[[], None] = lambda: None,
        revoke_idle: Callable[[float], None] = lambda deadline: None,
        release_buffer: Callable[[float], None] = lambda deadline: None,
        period: float = PERIOD,
    ) -> None:
        super().__init__(threading.Event, period)
        self._store = store
        self._backend = backend
        self._clock = clock
        self._window = window
        self._published = published
        self._report = report
        self._revoke_idle = revoke_idle
        self._release_buffer = release_buffer
        self._period = period
        self._turn = 0
        self._turn_at = 0.0
        self._was_behind = False
        self._note_at = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._turn_at = self._clock.monotonic() + self._window
        super().start()

    def stop(self) -> None:
        """Stop the thread, and let the next worker begin where this one ends."""
        super().stop()
        with suppress(FactstoreError):
            self._note_followed(self._clock.monotonic() + LAST_NOTE_SECONDS, at_once=True)

    def run_round(self) -> float:
        """Run all tasks once, and return the seconds until the next round."""
        self.round()
        return self._period

    def round(self) -> None:
        """Run all tasks once."""
        deadline = self._clock.monotonic() + CALL_SECONDS
        self._report()
        self._backend.purge_deleted(deadline)
        self._keep_current(deadline)
        self._note_followed(deadline)
        if self._window and self._clock.monotonic() >= self._turn_at:
            self._turn_at = self._clock.monotonic() + self._window
            self.compact_in_turn(deadline)
        self._revoke_idle(deadline)
        self._release_buffer(deadline)

    def _keep_current(self, deadline: float) -> None:
        """Advance the state past revisions of other clients of etcd.

        Otherwise a cursor that is returned now may be compacted before its use.  If the state is behind
        twice in a row, there are such revisions, or the watch is broken; catching up finds out.
        """
        is_behind = self._store.is_behind(deadline)
        if is_behind and self._was_behind:
            self._store.catch_up(deadline)
        self._was_behind = is_behind

    def _note_followed(self, deadline: float, *, at_once: bool = False) -> None:
        """Store how far this worker has followed, once all is written that it has found until there.

        Another worker would not find it again: what follows from the history, and what was lost of it.
        """
        now = self._clock.monotonic()
        if now < self._note_at and not at_once:
            return
        at = self._published()
        if not (self._store.notes_lost_history or self._store.needs_write):
            self._note_at = now + NOTE_SECONDS
            self._backend.followed.note(at, deadline, at_once=at_once)

    def compact_in_turn(self, deadline: float) -> None:
        """Compact etcd if it is the turn of this worker."""
        is_mine, self._turn, noted = self._backend.try_compaction_turn(self._turn, deadline)
        epoch, published = self._published()
        revision = min(noted, published)
        if is_mine and revision > 0:
            LOG.info("compacting history before revision %d", revision)
            self._backend.followed.note(Cursor(epoch, revision), deadline, at_once=True)
            self._backend.compact(revision, deadline)
