"""Regular chores of every worker: keep the watch moving, sweep, and take turns at compacting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from factstore.core.errors import CursorExpired, FactstoreError
from factstore.core.ports import Clock

LOG = logging.getLogger(__name__)

PERIOD = 5.0  # seconds between rounds
CALL_SECONDS = 10.0


class Mirror(Protocol):
    """What upkeep needs of the store."""

    def behind(self, deadline: float) -> bool: ...

    def move(self, deadline: float) -> None: ...


class Chores(Protocol):
    """What upkeep needs of etcd."""

    def purge_deleted(self, deadline: float) -> None: ...

    def compact(self, revision: int, deadline: float) -> None: ...

    def take_turn(self, seen: int, deadline: float) -> tuple[bool, int, int]: ...


class Upkeep:
    """A thread that does the chores.

    Compaction: each round of *window* seconds, the worker that first notes the present revision in a
    key, which it may do only if nobody has since it looked last, gives up the history before the
    revision that was noted the round before.  So history is kept for one to two windows, by whatever
    number of workers.

    :param window: seconds; 0 leaves compaction to others.
    :param report: notes what there is to count; each round, whatever etcd does.
    :param reached: the revision that this worker's readers have been told of.
    """

    def __init__(
        self,
        mirror: Mirror,
        chores: Chores,
        clock: Clock,
        *,
        window: float,
        reached: Callable[[], int],
        report: Callable[[], None] = lambda: None,
        period: float = PERIOD,
    ) -> None:
        self._mirror = mirror
        self._chores = chores
        self._clock = clock
        self._window = window
        self._reached = reached
        self._report = report
        self._period = period
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._turn = 0
        self._turn_at = 0.0
        self._was_behind = False

    def start(self) -> None:
        """Start the thread."""
        self._turn_at = self._clock.monotonic() + self._window
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the chore at hand."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(CALL_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(self._period):
            try:
                self.round()
            except (FactstoreError, CursorExpired) as error:
                LOG.info("upkeep waits: %s", error)
            except Exception:
                LOG.exception("upkeep failed; it goes on with the next round")

    def round(self) -> None:
        """Do all chores once."""
        deadline = self._clock.monotonic() + CALL_SECONDS
        self._report()
        self._keep_moving(deadline)
        self._chores.purge_deleted(deadline)
        if self._window and self._clock.monotonic() >= self._turn_at:
            self._turn_at = self._clock.monotonic() + self._window
            self.take_turn(deadline)

    def _keep_moving(self, deadline: float) -> None:
        """Move past others' revisions, or a cursor handed out now may be compacted before its use.

        Seen behind twice in a row is either that, or a watch that went silent; moving finds out.
        """
        behind = self._mirror.behind(deadline)
        if behind and self._was_behind:
            self._mirror.move(deadline)
        self._was_behind = behind

    def take_turn(self, deadline: float) -> None:
        """Compact, if it is this worker's turn."""
        mine, self._turn, noted = self._chores.take_turn(self._turn, deadline)
        revision = min(noted, self._reached())
        if mine and revision > 0:
            LOG.info("compacting history before revision %d", revision)
            self._chores.compact(revision, deadline)
