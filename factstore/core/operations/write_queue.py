"""Writes of the same data wait for one another in this worker, in the order of their arrival.

Without the queue they would be decided on the same state and fail one another's guards.  The queue only
prevents that: what keeps writes correct, those of other workers included, is their guards.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping
from typing import Self

from factstore.core.errors import Unavailable
from factstore.core.model.fact import Scope
from factstore.core.model.path import ancestors
from factstore.core.model.transaction import Transaction
from factstore.core.ports import Clock, WakeUp
from factstore.core.short_lock import ShortLock

# The claims of a write.  Several may guard a thing, or create facts in a folder, but not both at once.
GUARD = 1
CREATE = 2
CHANGE = GUARD | CREATE

# Two aspects of a stack.  No path contains a space.
_EXISTS, _RECORD = " exists", " record"


def claims(transaction: Transaction) -> dict[Hashable, int]:
    """Return what a transaction depends on and what it changes, within its stack.

    A thing is the path of a fact, a folder with a slash at its end for all facts below it, the key of a
    record, or one of two aspects of the stack: that it exists, and its record.
    """
    replaces_stack = transaction.creates_stack or transaction.drops_stack
    found: dict[Hashable, int] = {_EXISTS: CHANGE if replaces_stack else GUARD}
    if replaces_stack or transaction.updates_stack:
        found[_RECORD] = CHANGE
    elif not transaction.fact_revisions and not transaction.record_revisions:
        found[_RECORD] = GUARD
    for key in transaction.record_revisions:
        found[key] = GUARD
    for record in transaction.records:
        found[record.record_key] = CHANGE
    for key in transaction.removes:
        found[key] = CHANGE
    found.update(dict.fromkeys(transaction.fact_revisions, GUARD))
    if not transaction.tree.is_empty:
        _add_tree(transaction, found)
    for put in transaction.puts:
        found[put.path] = CHANGE
    for path in transaction.deletes:
        found[path] = CHANGE
    return found


def _add_tree(transaction: Transaction, found: dict[Hashable, int]) -> None:
    """Add the claims of the facts that a transaction creates."""
    tree = transaction.tree
    for path in tree.absent:
        found[path] = GUARD
    for path in tree.empty:
        found[f"{path}/"] = GUARD
    for path in tree.subtrees:
        found[path] = found[f"{path}/"] = GUARD
    for put in transaction.puts:
        if put.version == 1:
            for folder in ("", *ancestors(put.path)):
                found[f"{folder}/"] = found.get(f"{folder}/", 0) | CREATE


class WriteQueue:
    """The writes of one worker that are being planned or committed."""

    def __init__(self, clock: Clock, new_wake_up: Callable[[], WakeUp]) -> None:
        self.clock = clock
        self.new_wake_up = new_wake_up
        self.lock = ShortLock()
        self.numbers = itertools.count()
        self.stacks: dict[Scope, _Claimed] = {}


class Place:
    """The place of one write in a queue, from its first plan until it is done.

    A context manager; the write leaves the queue at the end.

    :ivar claims: what the write depends on and what it changes.
    """

    __slots__ = ("_ahead", "_behind", "_free", "_number", "_queue", "_scope", "claims")

    def __init__(self, queue: WriteQueue) -> None:
        self._queue = queue
        self._number = -1
        self._scope: Scope | None = None
        self.claims: dict[Hashable, int] = {}
        self._ahead: set[Place] = _NOBODY
        self._behind: list[Place] = []
        self._free: WakeUp | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.leave()

    def enter(self, transaction: Transaction, deadline: float) -> bool:
        """Claim what a transaction concerns; return True if no earlier write claims the same.

        Otherwise wait until all of them are done, and return False: the transaction was decided on a
        state that may have changed, so plan again, and enter with the new one.

        :raises Unavailable: ``contention``: they were not done at the deadline.
        """
        queue = self._queue
        with queue.lock:
            self._claim(transaction)
            if not self._ahead:
                return True
            free = self._free = queue.new_wake_up()
            for place in self._ahead:
                place._behind.append(self)
        free.wait(max(0.0, deadline - queue.clock.monotonic()))
        if not free.is_set():
            raise Unavailable(
                "Earlier writes of the same data were not done before the deadline; nothing was "
                "written. Try again.",
                code="contention",
            )
        return False

    def enter_at_once(self, transaction: Transaction) -> bool:
        """Claim what a transaction concerns, unless an earlier write claims the same."""
        with self._queue.lock:
            self._claim(transaction)
        if self._ahead:
            self.leave()
            return False
        return True

    def _claim(self, transaction: Transaction) -> None:
        queue = self._queue
        if self._number < 0:
            self._number = next(queue.numbers)
        scope = self._scope = transaction.stack.scope
        claimed = queue.stacks.get(scope)
        if claimed is None:
            claimed = queue.stacks[scope] = _Claimed()
        wanted = claims(transaction)
        if self.claims:
            ahead = claimed.add(self, self._replace_claims(claimed, wanted))
        else:
            self.claims = wanted
            ahead = claimed.add(self, wanted)
        # An earlier write that is planned again may claim more.  It does not wait for later ones,
        # so that no two writes ever wait for each other.
        self._ahead = {place for place in ahead if place._number < self._number} if ahead else ahead

    def _replace_claims(
        self, claimed: _Claimed, wanted: Mapping[Hashable, int]
    ) -> dict[Hashable, int]:
        """Return the claims to add to those of an earlier plan; remove those that they replace."""
        own, more, replaced = self.claims, {}, {}
        for thing, claim in wanted.items():
            before = own.get(thing, 0)
            if before | claim != before:
                if before:
                    replaced[thing] = before
                own[thing] = more[thing] = claim | before
        claimed.remove(self, replaced)
        return more

    def leave(self) -> None:
        """Give up all claims, and let the writes behind go on that wait for no other."""
        queue = self._queue
        with queue.lock:
            if self._scope is None:
                return
            claimed = queue.stacks[self._scope]
            claimed.drop(self, self.claims)
            if claimed.empty:
                del queue.stacks[self._scope]
            self._scope = None
            self.claims = {}
            if not self._behind:
                return
            behind, self._behind = self._behind, []
            free = []
            for place in behind:
                if self in place._ahead:
                    place._ahead.discard(self)
                    if not place._ahead and place._free is not None:
                        free.append(place._free)
        for wake_up in free:
            wake_up.set()


_NOBODY: set[Place] = set()  # which is never changed
_Places = dict[Hashable, dict[Place, None]]


class _Claimed:
    """The claims on the things of one stack: the places that hold each kind of claim, by thing.

    The claims of a place that is alone in the stack, as most are, are only listed by thing when another
    one arrives.
    """

    __slots__ = ("_alone", "_changes", "_creates", "_guards")

    def __init__(self) -> None:
        self._alone: Place | None = None
        self._guards: _Places = {}
        self._creates: _Places = {}
        self._changes: _Places = {}

    @property
    def empty(self) -> bool:
        """True if there are no claims."""
        return not (self._alone or self._guards or self._creates or self._changes)

    def add(self, place: Place, claims: Mapping[Hashable, int]) -> set[Place]:
        """Add claims; return the places whose claims on the same things are not compatible."""
        alone = self._alone
        if alone is place or self.empty:
            self._alone = place
            return _NOBODY
        if alone is not None:
            self._alone = None
            self._list(alone, alone.claims)
        return self._list(place, claims)

    def _list(self, place: Place, claims: Mapping[Hashable, int]) -> set[Place]:
        others = _NOBODY
        guards, creates, changes = self._guards, self._creates, self._changes
        for thing, claim in claims.items():
            places = changes if claim == CHANGE else guards if claim == GUARD else creates
            if claim != CREATE and thing in creates:
                others = others.union(creates[thing])
            if claim != GUARD and thing in guards:
                others = others.union(guards[thing])
            if thing in changes:
                others = others.union(changes[thing])
            if thing in places:
                places[thing][place] = None
            else:
                places[thing] = {place: None}
        return others

    def drop(self, place: Place, claims: Mapping[Hashable, int]) -> None:
        """Remove all claims of a place."""
        if self._alone is place:
            self._alone = None
        else:
            self.remove(place, claims)

    def remove(self, place: Place, claims: Mapping[Hashable, int]) -> None:
        """Remove claims that others replace."""
        if self._alone is place:
            return
        guards, creates, changes = self._guards, self._creates, self._changes
        for thing, claim in claims.items():
            places = changes if claim == CHANGE else guards if claim == GUARD else creates
            held = places[thing]
            if len(held) == 1:
                del places[thing]
            else:
                del held[place]
