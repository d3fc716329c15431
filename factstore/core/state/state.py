"""All stacks at one revision, in memory.

:meth:`State.apply` moves it forward by one step and returns the step's events; all other methods read.
A lock makes each call atomic, so that readers on other threads never see half a step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import (
    Event,
    Loaded,
    Mutation,
    PutFact,
    PutFacts,
    Step,
    StepResult,
)
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.member import Member
from factstore.core.model.record import R, Record, RecordKey
from factstore.core.model.unnamed import SERVICE
from factstore.core.model.usage import Contents, ProjectUsage, Usage
from factstore.core.short_lock import ShortLock
from factstore.core.state.deletion_change import deletion_authors
from factstore.core.state.mutations import apply_mutation, apply_mutations
from factstore.core.state.stack_index import StackIndex
from factstore.core.state.stack_state import StackState
from factstore.core.state.unnamed_stacks import concerns_notifiers

_NONE: frozenset[str] = frozenset()


class State:
    """All stacks at :attr:`revision`.

    :param epoch: the epoch of the store.
    :param signing_key: known to the workers of the store alone.
    :param renewed_at: the revision at which the epoch was written; what is older is of another epoch.
    """

    def __init__(
        self, revision: int = 0, epoch: str = "", signing_key: bytes = b"", renewed_at: int = 0
    ) -> None:
        self.epoch = epoch
        self.signing_key = signing_key
        self.revision = revision
        self._lock = ShortLock()
        self._index = StackIndex(epoch, revision, renewed_at)
        # Each request looks for its stack, and needs no method for that.
        self._stacks = self._index.by_scope
        self._by_id = self._index.by_id
        self._unwritten: set[str] = set()  # the ids of stacks for the waiter controller

    def load(self, mutations: Iterable[Loaded], lost_at: int = 0) -> None:
        """Load the contents at :attr:`revision`, without events.

        :param lost_at: the revision after which no worker has followed the store, or 0.
        """
        self._put_all(mutations)  # nobody reads the state yet, and others may run meanwhile
        with self._lock:
            for stack_state in self._stacks.values():
                stack_state.end_load(self.revision, lost_at)
                self._evaluate(stack_state, self.revision)

    def _put_all(self, mutations: Iterable[Loaded]) -> None:
        for each in mutations:
            if not isinstance(each, PutFact | PutFacts):
                apply_mutation(self._index, each, {}, 0)
            elif (stack_state := self._by_id.get(each.stack_id)) is not None:
                stack_state.load(each.facts if isinstance(each, PutFacts) else (each.fact,))

    def apply(self, step: Step) -> StepResult:
        """Move to the step's revision, and return the events and the stacks that it touched.

        A step at or below :attr:`revision` was applied before and does nothing.
        """
        with self._lock:
            if step.revision <= self.revision:
                return StepResult()
            others = [mutation for mutation in step.mutations if type(mutation) is not PutFact]
            changes = apply_mutations(self._index, step, deletion_authors(others))
            concerned: dict[Scope, frozenset[str]] = {}
            events = []
            for stack_state, found in changes.items():
                stack, scope = stack_state.stack, stack_state.stack.scope
                concerned.setdefault(scope, _NONE)
                if stack_state.unsettled:
                    self._settle(stack_state, step.revision, concerned)
                if found:
                    events.append(Event(scope, stack.id, step.revision, tuple(found)))
            if any(map(concerns_notifiers, others)):
                concerned[SERVICE] = _NONE
            self.revision = step.revision
            return StepResult(tuple(events), concerned)

    def _settle(
        self, stack_state: StackState, revision: int, concerned: dict[Scope, frozenset[str]]
    ) -> None:
        """Find what follows from the changes of a stack, and add the readers that this concerns."""
        stack_state.unsettled = False
        self._evaluate(stack_state, revision)
        concerned[stack_state.stack.scope] |= stack_state.convergence.take_concerned()
        concerned.update(dict.fromkeys(stack_state.take_changed(), _NONE))

    def _evaluate(self, stack_state: StackState, revision: int) -> None:
        """Evaluate the conditions of a stack, unless it was deleted in this step."""
        if self._by_id.get(stack_state.stack.id) is stack_state:
            stack_state.evaluate(revision)
            if stack_state.needs_write:
                self._unwritten.add(stack_state.stack.id)

    # Reading

    @property
    def cursor(self) -> Cursor:
        """The cursor of :attr:`revision`."""
        return Cursor(self.epoch, self.revision)

    def includes(self, at: Cursor) -> bool:
        """Return True if this store was at a cursor, and this state is no older."""
        return at.epoch == self.epoch and at.revision <= self.revision

    @property
    def last_deletion(self) -> int:
        """The revision of the last deletion of a stack, a fact or a record."""
        return self._index.last_deletion

    @property
    def last_grant_change(self) -> int:
        """The revision that last changed or deleted a grant, or a stack with its grants."""
        return self._index.last_grant_change

    def stack(self, scope: Scope) -> Stack | None:
        """Return the record of a stack, or None if it does not exist."""
        stack_state = self.stack_state(scope)  # without the lock, as one fact
        return stack_state.stack if stack_state else None

    def stacks(self, project_id: str, after: str = "", limit: int | None = None) -> list[Stack]:
        """Return at most *limit* stacks of a project after a name, ordered by name; None for all."""
        with self._lock:
            return list(islice(self._index.of_project(project_id, after), limit))

    def fact(self, scope: Scope, path: str) -> Fact | None:
        """Return a fact, or None if it or its stack does not exist."""
        # One fact needs no lock: what half a step has changed already is in the store.
        stack_state = self._stacks.get(scope)
        return stack_state.facts.get(path) if stack_state else None

    def contents(self, scope: Scope, prefix: str = "") -> Contents | None:
        """Return a stack's members, and facts at and below *prefix*; None if it does not exist."""
        with self._lock:
            stack_state = self._stacks.get(scope)
            return stack_state.contents(prefix, self.revision) if stack_state else None

    def record(self, scope: Scope, key: RecordKey) -> Record | None:
        """Return a record, which may be a departed member; None if it does not exist."""
        stack_state = self.stack_state(scope)
        return stack_state.record(key) if stack_state else None

    def records(self, scope: Scope, kind: type[R]) -> list[R]:
        """Return all records of a kind, ordered by name."""
        with self._lock:
            stack_state = self.stack_state(scope)
            return list(stack_state.tables.after(kind)) if stack_state else []

    def unnamed_records(self, kind: type[R]) -> list[tuple[str, R]]:
        """Return the records of a kind of all projects, outside their stacks, with their project."""
        with self._lock:
            return list(self._index.unnamed.records(kind))

    def member(self, scope: Scope, name: str) -> Member | None:
        """Return the living member with a name, or None."""
        stack_state = self._stacks.get(scope)  # without the lock, as one fact
        return stack_state.live_members.get(name) if stack_state else None

    def has_stopped(self, scope: Scope, lease: int) -> bool:
        """Return True if a lease is monitored, and has no pulse."""
        stack_state = self._stacks.get(scope)
        return stack_state is not None and lease in stack_state.leases.stopped

    def has_ended(self, scope: Scope, lease: int) -> bool:
        """Return True if a monitored lease has ended, or has been chosen to end."""
        stack_state = self._stacks.get(scope)
        return stack_state is None or stack_state.has_ended(lease)

    def bound(self, scope: Scope, lease: int) -> int:
        """Return the number of facts bound to the member that has a lease."""
        stack_state = self._stacks.get(scope)
        return len(stack_state.leases.paths.get(lease, ())) if stack_state else 0

    def stack_state(self, of: Scope | str) -> StackState | None:
        """Return a stack by its scope or id; read it under :meth:`read`, and do not change it."""
        if isinstance(of, str):
            return self._by_id.get(of)
        return self._stacks.get(of) if of.stack else self._index.unnamed.of(of.project_id)

    def stacks_needing_write(self) -> list[StackState]:
        """Return the stacks for which the waiter controller has to write something."""
        with self._lock:
            stacks = map(self._by_id.get, self._unwritten)  # some may have been deleted
            found = [
                stack_state for stack_state in stacks if stack_state and stack_state.needs_write
            ]
            self._unwritten = {stack_state.stack.id for stack_state in found}
            return found

    def usage(self, scope: Scope) -> Usage | None:
        """Return the usage of a stack, or None if it does not exist."""
        with self._lock:
            stack_state = self._stacks.get(scope)
            return Usage(stack_state.count, stack_state.bytes) if stack_state else None

    def project_usage(self, project_id: str) -> ProjectUsage:
        """Return the usage of a project; zero if it has no stack."""
        with self._lock:
            return self._index.project_usage(project_id)

    def total(self) -> ProjectUsage:
        """Return the usage of all projects."""
        with self._lock:
            return self._index.total()

    def all_stacks(self) -> Collection[StackState]:
        """Return the stacks of all projects; read them under :meth:`read`."""
        return self._by_id.values()

    def first_below(self, scope: Scope, folder: str, ignoring: Collection[str]) -> str | None:
        """Return the first path below *folder* that is not in *ignoring*, or None."""
        with self._lock:
            stack_state = self._stacks.get(scope)
            below = stack_state.below(folder) if stack_state else ()
            return next((path for path in below if path not in ignoring), None)

    def mutations(self) -> list[Mutation]:
        """Return the mutations from which :meth:`load` builds this state."""
        with self._lock:
            return [each for stack_state in self._index for each in stack_state.mutations()]

    def read(self) -> ShortLock:
        """Return the lock; hold it (``with state.read():``) to read several things at one revision."""
        return self._lock
