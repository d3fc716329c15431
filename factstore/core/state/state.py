"""All stacks at one revision, in memory.

:meth:`State.apply` moves it forward by one step and returns the step's events; all other methods read.
A lock makes each call atomic, so that readers on other threads never see half a step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import (
    Change,
    DropFact,
    DropRecord,
    DropStack,
    Event,
    Loaded,
    Mutation,
    PutFact,
    PutFacts,
    PutRecord,
    PutStack,
    Step,
    StepResult,
)
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.member import Member
from factstore.core.model.record import R, Record, RecordKey
from factstore.core.model.unnamed import SERVICE
from factstore.core.model.usage import Contents, ProjectUsage, Usage
from factstore.core.short_lock import ShortLock
from factstore.core.state.deletion_change import (
    DeletionAuthors,
    deletion_authors,
    deletion_change,
    stack_deletion,
)
from factstore.core.state.project_totals import ProjectTotals
from factstore.core.state.stack_state import StackState
from factstore.core.state.unnamed_stacks import UnnamedStacks, concerns_notifiers

_NONE: frozenset[str] = frozenset()


class State:
    """All stacks at :attr:`revision`.

    :param epoch: the epoch of the store.
    :param signing_key: known to the workers of the store alone.
    :ivar last_deletion: the revision of the last deletion of a stack, a fact or a record.
    """

    def __init__(self, revision: int = 0, epoch: str = "", signing_key: bytes = b"") -> None:
        self.epoch = epoch
        self.signing_key = signing_key
        self.revision = self.last_deletion = revision
        self._lock = ShortLock()
        self._unwritten: set[str] = set()
        self._stacks: dict[Scope, StackState] = {}
        self._by_id: dict[str, StackState] = {}
        self._projects: dict[str, ProjectTotals] = {}
        self._unnamed = UnnamedStacks()

    def load(self, mutations: Iterable[Loaded], lost_at: int = 0) -> None:
        """Load the contents at :attr:`revision`, without events; no worker has seen *lost_at*."""
        self._put_all(mutations)  # nobody reads the state yet, and others may run meanwhile
        with self._lock:
            for stack_state in self._stacks.values():
                stack_state.end_load(self.revision, lost_at)
                self._evaluate(stack_state, self.revision)

    def _put_all(self, mutations: Iterable[Loaded]) -> None:
        for each in mutations:
            if not isinstance(each, PutFact | PutFacts):
                self._apply_one(each, {}, 0)
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
            authors = deletion_authors(others)
            changes: dict[StackState, list[Change]] = {}
            stack_state: StackState | None = None
            last_id, found = "", list[Change]()
            for mutation in step.mutations:
                if type(mutation) is not PutFact:
                    last_id = ""  # it may have added or removed the stack
                    touched, change = self._apply_one(mutation, authors, step.revision)
                    if touched is not None:
                        changes.setdefault(touched, []).extend([change] if change else ())
                    continue
                if mutation.stack_id != last_id:  # nearly all are facts, many of one stack
                    stack_state = self._by_id.get(last_id := mutation.stack_id)
                    if stack_state is not None:
                        found = changes.setdefault(stack_state, [])
                if stack_state is None:
                    continue  # a remainder of a deleted stack
                fact = mutation.fact
                previous, by = stack_state.put(fact), fact.updated_by
                found.append(Change("fact.put", fact.path, fact, previous, by, fact.request_id))
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
        if self._by_id.get(stack_state.stack.id) is stack_state:  # not deleted in this step
            stack_state.evaluate(revision)
            if stack_state.needs_write:
                self._unwritten.add(stack_state.stack.id)

    def _apply_one(
        self, mutation: Mutation, authors: DeletionAuthors, revision: int
    ) -> tuple[StackState | None, Change | None]:
        """Apply any mutation but PutFact; return the stack that it touches, and what watchers see."""
        match mutation:
            case DropFact(stack_id, path):
                stack_state = self._by_id.get(stack_id)
                deleted = stack_state.drop(path, revision) if stack_state else None
                if stack_state is None or deleted is None:
                    return None, None
                self.last_deletion = revision
                members = stack_state.records(Member)
                return stack_state, deletion_change(deleted, authors.get(stack_id, ()), members)
            case PutRecord(stack_id, record):
                stack_state = self._by_id.get(stack_id) or self._unnamed.to_change(stack_id)
                if stack_state is not None:
                    change = stack_state.put_record(record)
                    return None if record.silent else stack_state, change
            case DropRecord(stack_id, key):
                stack_state = self._by_id.get(stack_id) or self._unnamed.to_change(stack_id)
                if stack_state is not None:
                    self.last_deletion = revision
                    change = stack_state.drop_record(key, revision)
                    return None if key.kind.silent else stack_state, change
            case PutStack(stack):
                known = self._by_id.get(stack.id)
                if known is not None:
                    known.stack = stack
                else:
                    project = self._projects.setdefault(stack.project_id, ProjectTotals())
                    stack_state = StackState(stack, project, self.epoch, changed=stack.revision)
                    self._stacks[stack.scope] = self._by_id[stack.id] = stack_state
                    project.add(stack_state)
            case DropStack(scope):
                stack_state = self._stacks.pop(scope, None)
                if stack_state is None:
                    return None, None
                del self._by_id[stack_state.stack.id]
                stack_state.end()
                self._unwritten.discard(stack_state.stack.id)
                project = self._projects[scope.project_id]
                project.remove(scope.stack, stack_state)
                if not project.stacks:
                    del self._projects[scope.project_id]
                self.last_deletion = revision
                return stack_state, stack_deletion(authors.get(stack_state.stack.id, ()))
        return None, None

    # Reading

    @property
    def cursor(self) -> Cursor:
        """The cursor of :attr:`revision`."""
        return Cursor(self.epoch, self.revision)

    def stack(self, scope: Scope) -> Stack | None:
        """Return the record of a stack, or None if it does not exist."""
        return found.stack if (found := self.stack_state(scope)) else None  # no lock, as one fact

    def stacks(self, project_id: str, after: str = "", limit: int | None = None) -> list[Stack]:
        """Return at most *limit* stacks of a project after a name, ordered by name; None for all."""
        with self._lock:
            project = self._projects.get(project_id)
            return [] if project is None else list(islice(project.after(after), limit))

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
        return found.record(key) if (found := self.stack_state(scope)) else None

    def records(self, scope: Scope, kind: type[R]) -> list[R]:
        """Return all records of a kind, ordered by name."""
        with self._lock:
            return list(found.tables.after(kind)) if (found := self.stack_state(scope)) else []

    def unnamed_records(self, kind: type[R]) -> list[tuple[str, R]]:
        """Return the records of a kind of all projects, outside their stacks, with their project."""
        with self._lock:
            return list(self._unnamed.records(kind))

    def member(self, scope: Scope, name: str) -> Member | None:
        """Return the living member with a name, or None."""
        stack_state = self._stacks.get(scope)  # without the lock, as one fact
        return stack_state.live_members.get(name) if stack_state else None

    def member_by_generation(self, scope: Scope, generation: str) -> Member | None:
        """Return the living member with a generation, or None."""
        return found.generations.get(generation) if (found := self._stacks.get(scope)) else None

    def has_stopped(self, scope: Scope, lease: int) -> bool:
        """Return True if a lease is monitored, and has no pulse."""
        stack_state = self._stacks.get(scope)
        return stack_state is not None and lease in stack_state.leases.stopped

    def bound(self, scope: Scope, lease: int) -> int:
        """Return the number of facts bound to the member that has a lease."""
        return len(found.leases.paths.get(lease, ())) if (found := self._stacks.get(scope)) else 0

    def stack_state(self, of: Scope | str) -> StackState | None:
        """Return a stack by its scope or id; read it under :meth:`read`, and do not change it."""
        if isinstance(of, str):
            return self._by_id.get(of)
        return self._stacks.get(of) if of.stack else self._unnamed.of(of.project_id)

    def stacks_needing_write(self) -> list[StackState]:
        """Return the stacks for which the waiter controller has to write something."""
        with self._lock:
            found = [
                each for each in map(self._by_id.__getitem__, self._unwritten) if each.needs_write
            ]
            self._unwritten = {stack_state.stack.id for stack_state in found}
            return found

    def usage(self, scope: Scope) -> Usage | None:
        """Return the usage of a stack, or None if it does not exist."""
        with self._lock:
            return Usage(found.count, found.bytes) if (found := self._stacks.get(scope)) else None

    def project_usage(self, project_id: str) -> ProjectUsage:
        """Return the usage of a project; zero if it has no stack."""
        with self._lock:
            project = self._projects.get(project_id, ProjectTotals())
            return ProjectUsage(len(project.stacks), project.facts, project.bytes)

    def total(self) -> ProjectUsage:
        """Return the usage of all projects."""
        with self._lock:
            projects = self._projects.values()
            facts, size = sum(p.facts for p in projects), sum(p.bytes for p in projects)
            return ProjectUsage(len(self._stacks), facts, size)

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
            stacks = (*self._stacks.values(), *self._unnamed.stacks.values())
            return [each for stack_state in stacks for each in stack_state.mutations()]

    def read(self) -> ShortLock:
        """Return the lock; hold it (``with state.read():``) to read several things at one revision."""
        return self._lock
