"""Commits that nobody waits for: each calls a function when it has ended."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.ports import Clock, CommitEnded, Started
from factstore.store.commit_batch import Entry
from factstore.store.commit_batcher import CommitBatcher
from factstore.store.types import LeaseExpired, Txn


class BatchedCommit(Entry):
    """A transaction in the batcher.

    :param ended: called with the revision, or with None if a compare or a lease failed.
    """

    __slots__ = ("_batcher", "_commit_ended")

    def __init__(
        self, batcher: CommitBatcher, txn: Txn, deadline: float, ended: CommitEnded
    ) -> None:
        super().__init__(txn, deadline, _nothing)
        self._batcher = batcher
        self._commit_ended = ended
        batcher.send(self)

    def _notify(self) -> None:
        # Without a reference to its owner, the commit needs no garbage collection.
        ended, self._commit_ended = self._commit_ended, _nothing
        if self.error is None:
            ended(self.revision if self.succeeded else None, None)
        else:
            ended(None, None if isinstance(self.error, LeaseExpired) else self.error)

    def expire(self, now: float) -> None:
        """End the commit if its deadline has passed."""
        if now > self.deadline:
            self._batcher.give_up(self)


def _nothing(*outcome: object) -> None:
    """Ignore an outcome."""


class VisibleCommit:
    """A commit that ends when the state includes it, or after a time that is long enough for that.

    :param start: starts the commit.
    :param visible: returns True if the state has reached a revision; otherwise, it calls the function
        when that has happened.
    :param seconds: for which a durable write is not acknowledged if the state does not include it.
    """

    __slots__ = (
        "_clock",
        "_ended",
        "_inner",
        "_observe_lag",
        "_revision",
        "_seconds",
        "_visible",
        "_written",
        "started",
    )

    def __init__(
        self,
        start: Callable[[CommitEnded], Started | None],
        visible: Callable[[int, Callable[[], object]], bool],
        clock: Clock,
        seconds: float,
        observe_lag: Callable[[float], None],
        ended: CommitEnded,
    ) -> None:
        self._visible = visible
        self._clock = clock
        self._seconds = seconds
        self._observe_lag = observe_lag
        self._ended: CommitEnded | None = ended
        self._revision: int | None = None
        self._written = 0.0
        self._inner: Started | None = None
        inner = start(self._end_write)
        self.started = inner is not None
        if self._ended is not None:
            self._inner = inner

    def _end_write(self, revision: int | None, error: Exception | None) -> None:
        if revision is None:
            self._finish(None, error)
            return
        self._revision, self._written = revision, self._clock.monotonic()
        if self._visible(revision, self._reach):
            self._reach()

    def _reach(self) -> None:
        ended, self._ended, self._inner = self._ended, None, None
        if ended is not None:
            self._observe_lag(self._clock.monotonic() - self._written)
            ended(self._revision, None)

    def _finish(self, revision: int | None, error: Exception | None) -> None:
        ended, self._ended, self._inner = self._ended, None, None
        if ended is not None:
            ended(revision, error)

    def expire(self, now: float) -> None:
        """End the commit if it takes too long; a durable one is a success in any case."""
        if self._revision is None:
            if self._inner is not None:
                self._inner.expire(now)
        elif now - self._written > self._seconds:
            self._reach()
