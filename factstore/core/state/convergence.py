"""The revisions that the members of a stack have to apply, and the members that have not.

Members without a read set have to apply every change.  A member with a read set has to apply the newest
revision that concerns it.  All is computed from the contents of the stack, so that all workers come to
the same result.  Facts below ``results/`` are left out.
"""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.event import DeletionMarker
from factstore.core.model.read_set import ReadSet
from factstore.core.state.containment import Contained, contained
from factstore.core.state.deletions import Deletions
from factstore.core.state.read_set_index import ReadSetContents, ReadSetIndex

_NONE: frozenset[str] = frozenset()


class Convergence(Contained):
    """The targets of a stack's members, and what they have applied.

    :param on_lag: called with a member's name, and True if it lags from now on.
    :ivar target: the newest revision that any member without a read set has to apply.
    :ivar applied: the revision that each member has applied, by name.
    :ivar lagging: the living members that have not applied their target, or nothing at all.
    :ivar last_deletion: the revision of the last deletion that moved the target.
    :ivar deletions: the deletions that concern read sets.
    """

    part = "convergence"

    def __init__(self, stack_id: str, on_lag: Callable[[str, bool], None]) -> None:
        super().__init__(stack_id)
        self.target = 0
        self.applied: dict[str, int] = {}
        self.lagging: set[str] = set()
        self.last_deletion = 0
        self._recorded_deletion = 0
        self.deletions = Deletions()
        self._on_lag = on_lag
        self._read_sets = ReadSetIndex()
        self._live: set[str] = set()
        # By digest, which is empty for members without a read set. Each target moves a member from
        # here to the lagging ones at most once, so that a change costs little while many lag.
        self._current: dict[str, set[str]] = {}
        self._concerned: set[str] = set()

    # Changes

    @property
    def concerns_members(self) -> bool:
        """True if more may follow from a change than another target of all members."""
        return bool(self._current or self._read_sets.entries or self.deletions.newest)

    def change(self, path: str, revision: int, created: int) -> bool:
        """Move the targets of the members that a change concerns; return False if there are none.

        :param path: of a fact outside ``results/``, or of a member.
        :param created: the revision that concerns listings: at which the fact was created, or more of
            the member changed than its state.
        """
        # Mostly there are none: the members lag already, because of the change before.
        concerns = bool(self._current or self._read_sets.entries)
        if concerns or self.deletions.newest:
            self._change(path, revision, created)
        elif revision > self.target:
            self.target = revision
        return concerns

    @contained
    def _change(self, path: str, revision: int, created: int) -> None:
        self.deletions.discard(path, revision)
        self._move(path, revision, created)

    @contained
    def delete(self, path: str, revision: int) -> None:
        """Move the targets of the members that a deletion concerns."""
        self.last_deletion = revision
        self.deletions.add(path, revision)
        self._move(path, revision, revision)

    @contained
    def restore(self, marker: DeletionMarker) -> None:
        """Move the targets to the deletions that a marker records."""
        recorded = {"": marker.seen} if marker.deletions is None else marker.deletions
        self.deletions.restore(recorded, marker.seen)
        self._recorded_deletion = marker.seen
        for path, revision in recorded.items():
            self._move(path, revision, revision)
        self._move_target(marker.seen)

    @contained
    def complete(self, past: Convergence) -> None:
        """Move the target of all members to a deletion that was not recorded: it preceded them."""
        self._move_target(past.target)

    def _move(self, path: str, revision: int, created: int) -> None:
        if self._read_sets.entries:
            for digest in self._read_sets.change(path, revision, created):
                self._concerned.add(digest)
                self._assess_current(digest)
        self._move_target(revision)

    def _move_target(self, revision: int) -> None:
        if revision > self.target:
            self.target = revision
            self._assess_current("")

    def _assess_current(self, digest: str) -> None:
        for name in list(self._current.get(digest, ())):
            self._assess(name)

    # Members

    @contained
    def set_live(self, name: str, live: bool) -> None:
        """Record that a member is alive, or is not any more."""
        (self._live.add if live else self._live.discard)(name)
        self._assess(name)

    @contained
    def set_applied(self, name: str, seen: int | None) -> None:
        """Record the revision that a member has applied; None if it is unknown."""
        if seen is None:
            self.applied.pop(name, None)
        else:
            self.applied[name] = seen
        self._assess(name)

    @contained
    def set_read_set(self, name: str, read_set: ReadSet | None, contents: ReadSetContents) -> None:
        """Record the read set of a member; None if it reads everything."""
        former = self._read_sets.digest(name)
        self._forget(name)
        if read_set is None:
            self._read_sets.drop(name)
        else:
            self._read_sets.put(name, read_set, contents, self.deletions)
        if former:
            self._concerned.add(former)  # those that wait with it may wait for too little
        self._assess(name)

    def digest(self, name: str) -> str:
        """Return the digest of a member's read set; empty if it reads everything."""
        return self._read_sets.digest(name)

    def target_of(self, name: str) -> int:
        """Return the revision that a member has to apply; 0 if no change has concerned it."""
        digest = self._read_sets.digest(name)
        return self._read_sets.target(digest) if digest else self.target

    def moved_by(self, path: str, *, listed: bool) -> set[str]:
        """Return the digests of the read sets whose target a change would move that comes next.

        The targets of members without a read set, whose digest is empty, are moved by each change.

        :param path: of a fact outside ``results/``.
        :param listed: True if the fact is created or deleted.
        :raises Unavailable: the targets are not computed any more.
        """
        self.check()
        return {"", *self._read_sets.concerned(path, listed=listed)}

    def is_progress(self, name: str, seen: int) -> bool:
        """Return True if a member lags and has applied a newer revision than the recorded one."""
        return name in self.lagging and self.applied.get(name, 0) < seen

    def _forget(self, name: str) -> None:
        digest = self._read_sets.digest(name)
        current = self._current.get(digest)
        if current is not None:
            current.discard(name)
            if not current:
                del self._current[digest]

    def _assess(self, name: str) -> None:
        """Find out whether a member lags."""
        live = name in self._live
        lags = live and self.applied.get(name, -1) < self.target_of(name)
        self._forget(name)
        if live and not lags:
            self._current.setdefault(self._read_sets.digest(name), set()).add(name)
        if lags != (name in self.lagging):
            (self.lagging.add if lags else self.lagging.discard)(name)
            self._on_lag(name, lags)

    def on_fault(self) -> None:
        """Let all members lag, so that no condition is met by mistake."""
        for name in self._live - self.lagging:
            self.lagging.add(name)
            self._on_lag(name, True)

    # Results

    def take_concerned(self) -> frozenset[str]:
        """Return the digests of the read sets that were concerned since the last call."""
        if not self._concerned:
            return _NONE
        concerned = frozenset(self._concerned)
        self._concerned.clear()
        return concerned

    def end(self) -> None:
        """Record that the stack was deleted, which concerns all read sets."""
        self._concerned |= self._read_sets.digests()

    @property
    def has_unrecorded_deletion(self) -> bool:
        """True if a marker is missing; a stack without members needs none, because nobody converges."""
        return bool(self._live) and self.last_deletion > self._recorded_deletion

    @property
    def marker(self) -> DeletionMarker:
        """The marker that records the deletions."""
        # Earlier versions do not decode a marker with paths, which only read sets need.
        deletions = dict(self.deletions.newest) if self._read_sets.entries else None
        return DeletionMarker(self.last_deletion, deletions)
