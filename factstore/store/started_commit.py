"""Commits that nobody waits for: each calls a function when it has ended."""

from __future__ import annotations

from factstore.core.ports import Clock, CommitEnded, Visibility
from factstore.store.commit_batch import Entry
from factstore.store.commit_batcher import CommitBatcher
from factstore.store.types import AnyTxn, LeaseExpired

VISIBLE_SECONDS = 1.0
"""The most that an acknowledgement waits for the state; the write is durable."""


class BatchedCommit(Entry):
    """A transaction in the batcher; it ends when the state includes it, or if it fails.

    :param ended: called with the revision, or with None if a compare or a lease failed.
    """

    __slots__ = ("_batcher", "_clock", "_commit_ended", "_visibility", "_written")

    def __init__(
        self,
        batcher: CommitBatcher,
        txn: AnyTxn,
        deadline: float,
        ended: CommitEnded,
        visibility: Visibility,
        clock: Clock,
    ) -> None:
        super().__init__(txn, deadline, _nothing)
        self._batcher = batcher
        self._clock = clock
        self._commit_ended: CommitEnded | None = ended
        self._visibility = visibility
        self._written = 0.0
        batcher.send(self)

    def _notify(self) -> None:
        if self.succeeded:
            self._written = self._clock.monotonic()
            if self._visibility.call_when_reached(self.revision, self._reach):
                self._reach()
            return
        ended, self._commit_ended = self._commit_ended, None
        if ended is not None:
            ended(None, None if isinstance(self.error, LeaseExpired) else self.error)

    def _reach(self) -> None:
        # Without a reference to its owner, the commit needs no garbage collection.
        ended, self._commit_ended = self._commit_ended, None
        if ended is not None:
            self._visibility.observe_lag(self._clock.monotonic() - self._written)
            ended(self.revision, None)

    def expire(self, now: float) -> None:
        """End the commit if it takes too long; a durable one is a success in any case."""
        if not self.has_ended:
            if now > self.deadline:
                self._batcher.give_up(self)
        elif self.succeeded and now - self._written > VISIBLE_SECONDS:
            self._reach()


def _nothing() -> None:
    """Ignore the end of an entry, which :class:`BatchedCommit` notices itself."""
