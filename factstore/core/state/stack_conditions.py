"""The counters of the conditions of all pending waiters and alarms of one stack.

Equal conditions share a counter, and a change is passed only to the counters that it concerns.  So its
cost depends on the number of different conditions that count the changed fact, which is bounded
(:mod:`factstore.core.state.condition_room`), and not on the number of conditions.

A counter that fails is given up, together with the waiters and alarms that use it.  So a fault in one
condition stops neither the other conditions nor other stacks.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field

from factstore.core.model.aggregate import Aggregate
from factstore.core.model.condition import Converged, EveryMember, Facts, Leaf
from factstore.core.model.fact import Fact
from factstore.core.model.member import Member
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.state.aggregate_counter import NumbersCounter
from factstore.core.state.condition_counters import (
    ConvergedCounter,
    CountedContents,
    EveryMemberCounter,
    FactsCounter,
    InParts,
    LeafCounter,
    counter_key,
)
from factstore.core.state.pattern_tree import STAR, PatternTree

LOG = logging.getLogger(__name__)

_AFTER = "\x7f"  # after all characters of paths


@quick_dataclass(slots=True, eq=False)
class Shared:
    """A counter and the waiters and alarms that use it."""

    key: Leaf
    counter: LeafCounter
    users: dict[RecordKey, None] = field(default_factory=dict)


class StackConditions:
    """The counters of a stack.

    :param stack_id: for the log.
    :ivar faults: the waiters and alarms that are not evaluated any more, each with the reason.
    :ivar lost_at: the newest revision that was lost, if that must still be noted on the waiters and
        alarms that were set before; otherwise 0.
    :ivar patterns: empty if no condition counts facts.
    """

    def __init__(self, stack_id: str) -> None:
        self.faults: dict[RecordKey, str] = {}
        self.lost_at = 0
        self._stack_id = stack_id
        self._shared: dict[Leaf, Shared] = {}
        self._used: dict[RecordKey, tuple[Leaf, ...]] = {}
        self._new: list[Shared] = []
        self._unused: set[Shared] = set()
        self._changed: set[Shared] = set()
        self._tree: PatternTree[Shared] = PatternTree()
        self.patterns = self._tree.firsts
        # By group, and apart for convergence, since members begin to lag with each change.
        self._of_groups: dict[tuple[bool, str], dict[Shared, None]] = {}
        self._members: dict[str, Member] = {}
        self._lagging: set[str] = set()

    # Users

    def use(self, user: RecordKey, leaves: Iterable[Leaf]) -> dict[Leaf, LeafCounter]:
        """Return the counters of a waiter's or an alarm's conditions without parts.

        New ones count nothing before :meth:`load`.
        """
        counters = {}
        self._used[user] = tuple(leaves)
        for leaf in self._used[user]:
            shared = self._find_or_make(leaf)
            if shared is not None:
                shared.users[user] = None
                counters[leaf] = shared.counter
        return counters

    def _find_or_make(self, leaf: Leaf) -> Shared | None:
        """Return the counter of a condition; None for signals, which each waiter counts itself."""
        key = counter_key(leaf)
        shared = self._shared.get(key)
        if shared is None:
            counter = _new_counter(key)
            if counter is None:
                return None
            shared = self._shared[key] = Shared(key, counter)
            self._new.append(shared)
            self._unused.add(shared)
        return shared

    def release(self, user: RecordKey) -> None:
        """Forget a waiter or an alarm; counters without users end with the revision."""
        self.faults.pop(user, None)
        for key in {counter_key(leaf) for leaf in self._used.pop(user, ())}:
            shared = self._shared.get(key)
            if shared is not None and user in shared.users:
                del shared.users[user]
                self._unused.add(shared)

    def used(self) -> dict[RecordKey, tuple[Leaf, ...]]:
        """Return the conditions without parts, by waiter and alarm."""
        return self._used

    def give_up(self, user: RecordKey, error: Exception) -> None:
        """Record that a waiter or an alarm cannot be evaluated."""
        if user not in self.faults:
            self.faults[user] = f"{type(error).__name__}: {error}"
            LOG.error(
                "the %s %s of stack %s cannot be evaluated; it stays as it is until it is set again",
                user.kind.__name__.lower(),
                user.name,
                self._stack_id,
                exc_info=error,
            )

    # Changes

    def fact(self, path: str, fact: Fact | None) -> None:
        """Update the fact at a path; None if it was deleted."""
        for shared in self._tree.matching(path) if self.patterns else ():
            self._update(shared, lambda counter: counter.fact(path, fact))

    def member(self, name: str, member: Member | None) -> None:
        """Update a member; None if it is no longer alive."""
        former = self._members.pop(name, None)
        if member is not None:
            self._members[name] = member
        self._update_member(name, former, member, converged=False)
        self._update_member(name, former, member, converged=True)

    def lagging(self, name: str, lags: bool) -> None:
        """Update whether a member lags."""
        (self._lagging.add if lags else self._lagging.discard)(name)
        member = self._members.get(name)
        self._update_member(name, member, member, converged=True)

    def _update_member(
        self, name: str, former: Member | None, member: Member | None, *, converged: bool
    ) -> None:
        lags = name in self._lagging
        for group in {"", *(each.group for each in (former, member) if each is not None)}:
            for shared in list(self._of_groups.get((converged, group), ())):
                self._update(shared, lambda counter: counter.member(name, member, lags=lags))

    def _update(self, shared: Shared, update: Callable[[LeafCounter], None]) -> None:
        self._changed.add(shared)
        try:
            update(shared.counter)
        except Exception as error:  # noqa: BLE001 - it must not stop the watch
            self._give_up_counter(shared, error)

    def prepare(
        self, leaves: Iterable[Leaf], view: CountedContents, pause: Callable[[], object]
    ) -> None:
        """Count what is in the stack with counters that are used from the next revision on.

        :param pause: called between short parts of the work; the stack must not be changed.
        """
        for leaf in leaves:
            self._find_or_make(leaf)
        self.load(view, pause)

    @property
    def has_new(self) -> bool:
        """True if there are counters that :meth:`load` has to load."""
        return bool(self._new)

    def load(self, view: CountedContents, pause: Callable[[], object] = lambda: None) -> None:
        """Count what is in the stack with the new counters, all of them in one pass."""
        if not self._new:
            return
        new, self._new = self._new, []
        found: dict[str, list[tuple[str, Fact]]] = {"": []}  # by pattern
        tree: PatternTree[list[tuple[str, Fact]]] = PatternTree()
        for shared in new:
            pattern = shared.counter.pattern
            if pattern not in found:
                found[pattern] = []
                tree.add(pattern, found[pattern])
        facts = view.facts
        candidates = InParts([*_candidates(new, view.paths)], pause)
        for path, lists in tree.all_matching(candidates):
            for each in lists:
                each.append((path, facts[path]))
        for shared in new:
            self._insert(shared)
            self._changed.add(shared)
            try:
                shared.counter.load(view, InParts(found[shared.counter.pattern], pause))
            except Exception as error:  # noqa: BLE001 - it must not stop the watch
                self._give_up_counter(shared, error)

    def take_changed(self) -> set[RecordKey]:
        """Return the waiters and alarms whose counters changed since the last call.

        Counters that nobody uses are discarded.
        """
        if self._unused:
            for shared in self._unused:
                if not shared.users:
                    self._remove(shared)
            self._unused.clear()
        if not self._changed:
            return set()
        users = {user for shared in self._changed for user in shared.users}
        self._changed.clear()
        return users

    # Counters

    def _give_up_counter(self, shared: Shared, error: Exception) -> None:
        for user in shared.users:
            self.give_up(user, error)
        self._remove(shared)  # a new definition gets a new one

    def _insert(self, shared: Shared) -> None:
        if shared.counter.pattern:
            self._tree.add(shared.counter.pattern, shared)
        if shared.counter.group is not None:
            self._of_groups.setdefault(_group_key(shared.counter), {})[shared] = None

    def _remove(self, shared: Shared) -> None:
        if self._shared.get(shared.key) is shared:
            del self._shared[shared.key]
        else:
            return  # it was given up
        if shared in self._new:
            self._new.remove(shared)
            return
        if shared.counter.pattern:
            self._tree.remove(shared.counter.pattern, shared)
        if shared.counter.group is not None:
            key = _group_key(shared.counter)
            del self._of_groups[key][shared]
            if not self._of_groups[key]:
                del self._of_groups[key]


def _group_key(counter: LeafCounter) -> tuple[bool, str]:
    return isinstance(counter, ConvergedCounter), counter.group or ""


def _new_counter(key: Leaf) -> LeafCounter | None:
    """Return a new counter; None for signals."""
    match key:
        case Facts():
            return FactsCounter(key)
        case EveryMember():
            return EveryMemberCounter(key)
        case Converged():
            return ConvergedCounter(key)
        case Aggregate():
            return NumbersCounter(key)
    return None


def _candidates(new: Iterable[Shared], paths: Sequence[str]) -> Iterator[str]:
    """Yield the paths that begin as a pattern does before its first star."""
    last = None
    for start in sorted(
        {shared.counter.pattern.partition(STAR)[0] for shared in new if shared.counter.pattern}
    ):
        if last is not None and start.startswith(last):
            continue
        last = start
        yield from paths[bisect_left(paths, start) : bisect_left(paths, start + _AFTER)]
