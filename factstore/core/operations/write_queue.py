"""Writes of the same data wait for one another in this worker, in the order of their arrival.

Without the queue they would be decided on the same state and fail one another's guards.  The queue only
prevents that: what keeps writes correct, those of other workers included, is their guards.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Self

from factstore.core.errors import Unavailable
from factstore.core.model.fact import Scope
from factstore.core.model.path import ancestors
from factstore.core.model.transaction import Transaction
from factstore.core.ports import Clock, WakeUp

# The claims of a write.  Several may guard a thing, or create facts in a folder, but not both at once.
GUARD = 1
CREATE = 2
CHANGE = GUARD | CREATE


def claims(transaction: Transaction) -> dict[Hashable, int]:
    """Return what a transaction depends on and what it changes, within its stack.

    A thing is the path of a fact, a folder with a slash at its end for all facts below it, the key of a
    record, or one of two aspects of the stack: that it exists, and its record.
    """
    replaces_stack = transaction.creates_stack or transaction.drops_stack
    found: dict[Hashable, int] = {("exists",): CHANGE if replaces_stack else GUARD}
    if replaces_stack or transaction.updates_stack:
        found["record",] = CHANGE
    elif not transaction.fact_revisions and not transaction.record_revisions:
        found["record",] = GUARD
    for key in transaction.record_revisions:
        found[key] = GUARD
    for record in transaction.records:
        found[record.record_key] = CHANGE
    for key in transaction.removes:
        found[key] = CHANGE
    for path in transaction.fact_revisions:
        found[path] = GUARD
    for path in transaction.tree.absent:
        found[path] = GUARD
    for path in transaction.tree.empty:
        found[f"{path}/"] = GUARD
    for path in transaction.tree.subtrees:
        found[path] = found[f"{path}/"] = GUARD
    for path in transaction.new_paths:
        for folder in ("", *ancestors(path)):
            found[f"{folder}/"] = found.get(f"{folder}/", 0) | CREATE
    for put in transaction.puts:
        found[put.path] = CHANGE
    for path in transaction.deletes:
        found[path] = CHANGE
    return found


class WriteQueue:
    """The writes of one worker that are being planned or committed."""

    def __init__(self, clock: Clock, new_wake_up: Callable[[], WakeUp]) -> None:
        self.clock = clock
        self.new_wake_up = new_wake_up
        self.lock = threading.Lock()
        self.numbers = itertools.count()
        self.stacks: dict[Scope, dict[Hashable, _Claimed]] = {}


class Place:
    """The place of one write in a queue, from its first plan until it is done.

    A context manager; the write leaves the queue at the end.
    """

    def __init__(self, queue: WriteQueue) -> None:
        self._queue = queue
        self._number: int | None = None
        self._scope: Scope | None = None
        self._claims: dict[Hashable, int] = {}
        self._ahead: set[Place] = set()
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
                "earlier writes of the same data were not done before the deadline; nothing was "
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
        if self._number is None:
            self._number = next(queue.numbers)
        self._scope = transaction.stack.scope
        table = queue.stacks.setdefault(self._scope, {})
        ahead: set[Place] = set()
        for thing, claim in claims(transaction).items():
            before = self._claims.get(thing, 0)
            if before | claim == before:
                continue
            claimed = table.get(thing)
            if claimed is None:
                claimed = table[thing] = _Claimed()
            self._claims[thing] = before | claim
            ahead.update(claimed.add(self, before | claim))
        # An earlier write that is planned again may claim more.  It does not wait for later ones,
        # so that no two writes ever wait for each other.
        self._ahead = {place for place in ahead if place.number < self._number}

    @property
    def number(self) -> int:
        """The number of the write in the order of arrival."""
        assert self._number is not None  # noqa: S101 - only places that entered are compared
        return self._number

    def leave(self) -> None:
        """Give up all claims, and let the writes behind go on that wait for no other."""
        queue = self._queue
        with queue.lock:
            if self._scope is None:
                return
            table = queue.stacks[self._scope]
            for thing in self._claims:
                claimed = table[thing]
                claimed.remove(self)
                if not claimed.places:
                    del table[thing]
            if not table:
                del queue.stacks[self._scope]
            self._scope = None
            self._claims.clear()
            behind, self._behind = self._behind, []
            free = []
            for place in behind:
                if self in place._ahead:
                    place._ahead.discard(self)
                    if not place._ahead and place._free is not None:
                        free.append(place._free)
        for wake_up in free:
            wake_up.set()


@dataclass(slots=True)
class _Claimed:
    """The claims on one thing."""

    places: dict[Place, int] = field(default_factory=dict)
    counts: list[int] = field(default_factory=lambda: [0, 0, 0, 0])

    def add(self, place: Place, claim: int) -> list[Place]:
        """Add or extend a claim, and return the places of those that it is not compatible with."""
        if place in self.places:
            self.remove(place)
        same = self.counts[claim]
        conflicting: list[Place] = []
        if claim == CHANGE:
            conflicting = list(self.places)
        elif same < len(self.places):  # of hundreds that create in one folder, none is in the way
            conflicting = [other for other, held in self.places.items() if held != claim]
        self.places[place] = claim
        self.counts[claim] += 1
        return conflicting

    def remove(self, place: Place) -> None:
        """Remove a claim, if there is one."""
        claim = self.places.pop(place, 0)
        if claim:
            self.counts[claim] -= 1
