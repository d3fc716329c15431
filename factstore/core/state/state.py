"""All stacks and facts at one revision, in memory.

:meth:`State.apply` moves it forward one step at a time and tells which events the step means; all
other methods read.  A lock makes each call one instant, so that readers on other threads never see
half a step.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator

from factstore.core.model.event import (
    Change,
    DeletionAuthor,
    DropFact,
    DropRecord,
    DropStack,
    Event,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Record,
    Step,
    StepResult,
)
from factstore.core.model.fact import Fact, Scope, Stack
from factstore.core.model.member import Member
from factstore.core.model.record_key import RecordKey, RecordKindName
from factstore.core.model.usage import Contents, ProjectUsage, Usage
from factstore.core.state.stack_state import ProjectTotals, StackState


class State:
    """All stacks and facts as they stood at :attr:`revision`.

    No stack and no fact went after the revision :attr:`dropped`.

    :param epoch: the life of the store that this is a state of.
    """

    def __init__(self, revision: int = 0, epoch: str = "") -> None:
        self.epoch = epoch
        self.revision = self.last_deletion = revision
        self._lock = threading.RLock()
        self._busy: set[str] = set()
        self._spaces: dict[Scope, StackState] = {}
        self._by_id: dict[str, StackState] = {}
        self._projects: dict[str, ProjectTotals] = {}

    def load(self, mutations: Iterable[Mutation]) -> None:
        """Take in what stood at :attr:`revision`, stacks before their facts; no events come of it."""
        with self._lock:
            for mutation in mutations:
                self._apply_one(mutation, {}, 0)
            for space in self._spaces.values():
                # When it was, nobody knows: a deletion leaves no trace but the target's mark.
                space.changed = self.revision
                self._evaluate(space, self.revision)

    def apply(self, step: Step) -> StepResult:
        """Move to the step's revision, and return the events and the stacks that it touched.

        A step at or below :attr:`revision` was applied before and does nothing.
        """
        with self._lock:
            if step.revision <= self.revision:
                return StepResult()
            acts: dict[str, list[DeletionAuthor]] = {}
            for mutation in step.mutations:
                if isinstance(
                    mutation, DeletionAuthor
                ):  # several, when several writes went together
                    acts.setdefault(mutation.stack_id, []).append(mutation)
            changes: dict[tuple[Scope, str], list[Change]] = {}
            touched: dict[int, StackState] = {}
            for mutation in step.mutations:
                space, change = self._apply_one(mutation, acts, step.revision)
                if space is not None:
                    touched[id(space)] = space
                    made = changes.setdefault((space.stack.scope, space.stack.id), [])
                    if change is not None:
                        made.append(change)
            for space in touched.values():
                self._evaluate(space, step.revision)
            self.revision = step.revision
            events = [
                Event(scope, stack_id, step.revision, tuple(made))
                for (scope, stack_id), made in changes.items()
                if made
            ]
            return StepResult(tuple(events), frozenset([scope for scope, _ in changes]))

    def _evaluate(self, space: StackState, revision: int) -> None:
        if self._by_id.get(space.stack.id) is not space:
            return  # it has just been dropped, and what it would come to matters to nobody
        space.evaluate_waiters(revision)
        if space.needs_write:
            self._busy.add(space.stack.id)

    def _apply_one(
        self, mutation: Mutation, acts: dict[str, list[DeletionAuthor]], revision: int
    ) -> tuple[StackState | None, Change | None]:
        """Return the stack that a mutation touches, and the change that watchers see, if any."""
        match mutation:
            case PutFact(stack_id, fact):
                space = self._by_id.get(stack_id)
                if space is None:  # what is left of a deleted stack
                    return None, None
                previous = space.put(fact)
                return space, Change(
                    "fact.put", fact.path, fact, previous, fact.updated_by, fact.request_id
                )
            case DropFact(stack_id, path):
                space = self._by_id.get(stack_id)
                gone = space.drop(path, revision) if space else None
                if space is None or gone is None:
                    return None, None
                self.last_deletion = revision
                return space, space.deletion_change(gone, acts.get(stack_id, ()))
            case PutRecord(stack_id, record):
                space = self._by_id.get(stack_id)
                if space is None:
                    return None, None
                return space, space.put_record(record)
            case DropRecord(stack_id, place):
                space = self._by_id.get(stack_id)
                if space is None:
                    return None, None
                self.last_deletion = revision
                return space, space.drop_record(place, revision)
            case PutStack(stack):
                known = self._by_id.get(stack.id)
                if known is not None:
                    known.stack = stack
                else:
                    project = self._projects.setdefault(stack.project_id, ProjectTotals())
                    space = StackState(stack, project, changed=stack.revision)
                    self._spaces[stack.scope] = self._by_id[stack.id] = space
                    project.stacks[stack.name] = space
                return None, None
            case DropStack(scope):
                space = self._spaces.pop(scope, None)
                if space is None:
                    return None, None
                del self._by_id[space.stack.id]
                self._busy.discard(space.stack.id)
                project = space.project
                project.facts -= space.count
                project.bytes -= space.bytes
                del project.stacks[scope.stack]
                if not project.stacks:
                    del self._projects[scope.project_id]
                self.last_deletion = revision
                whole = [act for act in acts.get(space.stack.id, ()) if act.whole_stack]
                by = whole[0].user_id if whole else None
                request_id = whole[0].request_id if whole else None
                return space, Change("stack.delete", None, None, None, by, request_id)
            case _:
                return None, None

    # Reading

    def stack(self, scope: Scope) -> Stack | None:
        """The stack's record, or None."""
        with self._lock:
            space = self._spaces.get(scope)
            return space.stack if space else None

    def stacks(self, project_id: str) -> list[Stack]:
        """The project's stacks by name."""
        with self._lock:
            project = self._projects.get(project_id, ProjectTotals())
            found = [space.stack for space in project.stacks.values()]
        return sorted(found, key=lambda stack: stack.name)

    def fact(self, scope: Scope, path: str) -> Fact | None:
        """The fact, or None when it or its stack is missing."""
        with self._lock:
            space = self._spaces.get(scope)
            return space.facts.get(path) if space else None

    def contents(self, scope: Scope, prefix: str = "") -> Contents | None:
        """What the stack holds at and below *prefix*, by path, or None when it is missing."""
        with self._lock:
            space = self._spaces.get(scope)
            if space is None:
                return None
            if prefix:
                paths = [prefix] if prefix in space.facts else []
                paths.extend(space.below(prefix))
            else:
                paths = space.paths
            facts = tuple([space.facts[path] for path in paths])
            members = tuple([space.live_members[name] for name in sorted(space.live_members)])
            return Contents(
                space.stack,
                facts,
                members,
                self.revision,
                space.changed,
                space.target,
                space.sensitive > 0,
            )

    def record(self, scope: Scope, place: RecordKey) -> Record | None:
        """The record at a place, a departed member's included; None when it is missing."""
        with self._lock:
            space = self._spaces.get(scope)
            return space.records[place.kind].get(place.name) if space else None

    def records(self, scope: Scope, kind: RecordKindName) -> list[Record]:
        """All records of a kind, by name."""
        with self._lock:
            space = self._spaces.get(scope)
            table = space.records[kind] if space else {}
            return [table[name] for name in sorted(table)]

    def member(self, scope: Scope, name: str) -> Member | None:
        """The living member of that name."""
        with self._lock:
            space = self._spaces.get(scope)
            return space.live_members.get(name) if space else None

    def member_by_generation(self, scope: Scope, generation: str) -> Member | None:
        """The living member whose generation it is."""
        with self._lock:
            space = self._spaces.get(scope)
            return space.generations.get(generation) if space else None

    def bound(self, scope: Scope, lease: int) -> int:
        """How many facts go with the member that has this lease."""
        with self._lock:
            space = self._spaces.get(scope)
            return len(space.paths_by_lease.get(lease, ())) if space else 0

    def stack_state(self, of: Scope | str) -> StackState | None:
        """A whole stack, or that of an id, to be looked at under :meth:`read`, and not changed."""
        return self._by_id.get(of) if isinstance(of, str) else self._spaces.get(of)

    def stacks_needing_write(self) -> list[StackState]:
        """The stacks in which something has to be written down; see :class:`StackState`."""
        with self._lock:
            found = [space for stack in self._busy if (space := self._by_id[stack]).needs_write]
            self._busy = {space.stack.id for space in found}
            return found

    def usage(self, scope: Scope) -> Usage | None:
        """How much the stack holds, or None when it is missing."""
        with self._lock:
            space = self._spaces.get(scope)
            return Usage(space.count, space.bytes) if space else None

    def project_usage(self, project_id: str) -> ProjectUsage:
        """How much a project holds in all; nothing, if it has no stack."""
        with self._lock:
            project = self._projects.get(project_id, ProjectTotals())
            return ProjectUsage(len(project.stacks), project.facts, project.bytes)

    def total(self) -> ProjectUsage:
        """How much all projects hold."""
        with self._lock:
            projects = self._projects.values()
            facts, size = sum(p.facts for p in projects), sum(p.bytes for p in projects)
            return ProjectUsage(len(self._spaces), facts, size)

    def live_counts(self) -> tuple[int, int]:
        """How many members live, and how many waiters are pending, in all."""
        with self._lock:
            taking = [
                (len(space.live_members), len(space.pending_waiters))
                for space in self._by_id.values()
            ]
            return sum(members for members, _ in taking), sum(waiters for _, waiters in taking)

    def first_below(self, scope: Scope, folder: str, ignoring: Collection[str]) -> str | None:
        """The first fact below *folder*, not counting those in *ignoring*."""
        with self._lock:
            space = self._spaces.get(scope)
            below = space.below(folder) if space else ()
            return next((path for path in below if path not in ignoring), None)

    def mutations(self) -> Iterator[Mutation]:
        """What :meth:`load` would need to bring this state about."""
        with self._lock:
            for space in self._spaces.values():
                yield PutStack(space.stack)
                for path in space.paths:
                    yield PutFact(space.stack.id, space.facts[path])
                for table in space.records.values():
                    for record in table.values():
                        yield PutRecord(space.stack.id, record)

    def read(self) -> threading.RLock:
        """The lock: hold it (``with state.read():``) to make several reads one instant."""
        return self._lock
