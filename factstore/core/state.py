"""All stacks and facts at one revision, in memory.

:meth:`State.apply` moves it forward one step at a time and tells which events the step means; all
other methods read.  A lock makes each call one instant, so that readers on other threads never see
half a step.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from factstore.core.event import (
    Act,
    Change,
    DropFact,
    DropStack,
    Event,
    Mutation,
    PassGate,
    PutFact,
    PutStack,
    Step,
)
from factstore.core.fact import Fact, Scope, Stack


@dataclass(frozen=True, slots=True)
class Contents:
    """One stack whole, at one revision.

    :param revision: of the whole store; *changed*: the last that touched this stack's facts.
    """

    stack: Stack
    facts: tuple[Fact, ...]
    revision: int
    changed: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a stack holds; bytes are those of canonical values and paths."""

    facts: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ProjectUsage:
    """How much all stacks of a project hold.

    :param gate: the revision of the last write that came near one of the project's quotas.
    """

    stacks: int = 0
    facts: int = 0
    bytes: int = 0
    gate: int = 0


@dataclass(slots=True)
class _Project:
    spaces: dict[str, _Space] = field(default_factory=dict)
    facts: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _Space:
    stack: Stack
    project: _Project
    facts: dict[str, Fact] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    bytes: int = 0
    changed: int = 0

    def put(self, fact: Fact) -> Fact | None:
        previous = self.facts.get(fact.path)
        if previous is None:
            insort(self.paths, fact.path)
            self._grow(1, fact.size)
        else:
            self._grow(0, fact.size - previous.size)
        self.facts[fact.path] = fact
        self.changed = fact.revision
        return previous

    def drop(self, path: str, revision: int) -> Fact | None:
        previous = self.facts.pop(path, None)
        if previous is not None:
            del self.paths[bisect_left(self.paths, path)]
            self._grow(-1, -previous.size)
            self.changed = revision
        return previous

    def _grow(self, facts: int, size: int) -> None:
        self.bytes += size
        self.project.facts += facts
        self.project.bytes += size

    def below(self, folder: str) -> Iterator[str]:
        """The paths below a folder, in order."""
        start = f"{folder}/"
        for at in range(bisect_left(self.paths, start), len(self.paths)):
            if not self.paths[at].startswith(start):
                return
            yield self.paths[at]


class State:
    """All stacks and facts as they stood at :attr:`revision`.

    No stack and no fact went after the revision :attr:`dropped`.

    :param epoch: the life of the store that this is a state of.
    """

    def __init__(self, revision: int = 0, epoch: str = "") -> None:
        self.epoch = epoch
        self.revision = self.dropped = revision
        self._lock = threading.RLock()
        self._spaces: dict[Scope, _Space] = {}
        self._by_id: dict[str, _Space] = {}
        self._projects: dict[str, _Project] = {}
        self._gates: dict[str, int] = {}

    def load(self, mutations: Iterable[Mutation]) -> None:
        """Take in what stood at :attr:`revision`, stacks before their facts; no events come of it."""
        with self._lock:
            for mutation in mutations:
                self._apply_one(mutation, {}, 0)
            for space in self._spaces.values():
                space.changed = (
                    self.revision
                )  # when it was, nobody knows: a deletion leaves no trace

    def apply(self, step: Step) -> list[Event]:
        """Move to the step's revision and return what happened, an event for each stack touched.

        A step at or below :attr:`revision` was seen before and means nothing.
        """
        with self._lock:
            if step.revision <= self.revision:
                return []
            acts: dict[str, list[Act]] = {}
            for mutation in step.mutations:
                if isinstance(mutation, Act):  # several, when several writes went together
                    acts.setdefault(mutation.stack_id, []).append(mutation)
            changes: dict[tuple[Scope, str], list[Change]] = {}
            for mutation in step.mutations:
                applied = self._apply_one(mutation, acts, step.revision)
                if applied is not None:
                    stack, change = applied
                    changes.setdefault((stack.scope, stack.id), []).append(change)
            self.revision = step.revision
            return [
                Event(scope, stack_id, step.revision, tuple(made))
                for (scope, stack_id), made in changes.items()
            ]

    def _apply_one(
        self, mutation: Mutation, acts: dict[str, list[Act]], revision: int
    ) -> tuple[Stack, Change] | None:
        match mutation:
            case PutFact(stack_id, fact):
                space = self._by_id.get(stack_id)
                if space is None:  # what is left of a deleted stack
                    return None
                previous = space.put(fact)
                return space.stack, Change(
                    "fact.put", fact.path, fact, previous, fact.updated_by, fact.request_id
                )
            case DropFact(stack_id, path):
                space = self._by_id.get(stack_id)
                gone = space.drop(path, revision) if space else None
                if space is None or gone is None:
                    return None
                self.dropped = revision
                for act in acts.get(stack_id, ()):
                    if path in act.paths:
                        author = (act.user_id, act.request_id)
                        return space.stack, Change("fact.delete", path, None, gone, *author)
                return space.stack, Change("fact.expire", path, None, gone, None, None)
            case PutStack(stack):
                known = self._by_id.get(stack.id)
                if known is not None:
                    known.stack = stack
                else:
                    project = self._projects.setdefault(stack.project_id, _Project())
                    space = _Space(stack, project, changed=stack.revision)
                    self._spaces[stack.scope] = self._by_id[stack.id] = space
                    project.spaces[stack.name] = space
                return None
            case DropStack(scope):
                space = self._spaces.pop(scope, None)
                if space is None:
                    return None
                del self._by_id[space.stack.id]
                project = space.project
                project.facts -= len(space.facts)
                project.bytes -= space.bytes
                del project.spaces[scope.stack]
                if not project.spaces:
                    del self._projects[scope.project_id]
                self.dropped = revision
                whole = [act for act in acts.get(space.stack.id, ()) if act.whole_stack]
                by = whole[0].user_id if whole else None
                request_id = whole[0].request_id if whole else None
                return space.stack, Change("stack.delete", None, None, None, by, request_id)
            case PassGate(project_id, passed):
                self._gates[project_id] = passed
                if not passed:  # an operator removed it
                    del self._gates[project_id]
                return None
            case _:
                return None

    # Reading

    def stack(self, scope: Scope) -> Stack | None:
        """The stack's record, or None."""
        with self._lock:
            space = self._spaces.get(scope)
            return space.stack if space else None

    def stacks(self, project_id: str) -> list[Stack]:
        """The project's stacks by name."""
        with self._lock:
            project = self._projects.get(project_id, _Project())
            found = [space.stack for space in project.spaces.values()]
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
            return Contents(space.stack, facts, self.revision, space.changed)

    def usage(self, scope: Scope) -> Usage | None:
        """How much the stack holds, or None when it is missing."""
        with self._lock:
            space = self._spaces.get(scope)
            return Usage(len(space.facts), space.bytes) if space else None

    def project_usage(self, project_id: str) -> ProjectUsage:
        """How much a project holds in all; nothing, if it has no stack."""
        with self._lock:
            project = self._projects.get(project_id, _Project())
            gate = self._gates.get(project_id, 0)
            return ProjectUsage(len(project.spaces), project.facts, project.bytes, gate)

    def total(self) -> ProjectUsage:
        """How much all projects hold."""
        with self._lock:
            projects = self._projects.values()
            facts, size = sum(p.facts for p in projects), sum(p.bytes for p in projects)
            return ProjectUsage(len(self._spaces), facts, size)

    def first_below(self, scope: Scope, folder: str, ignoring: Collection[str]) -> str | None:
        """The first fact below *folder*, not counting those in *ignoring*."""
        with self._lock:
            space = self._spaces.get(scope)
            below = space.below(folder) if space else ()
            return next((path for path in below if path not in ignoring), None)

    def mutations(self) -> Iterator[Mutation]:
        """What :meth:`load` would need to bring this state about."""
        with self._lock:
            for project_id, passed in self._gates.items():
                yield PassGate(project_id, passed)
            for space in self._spaces.values():
                yield PutStack(space.stack)
                for path in space.paths:
                    yield PutFact(space.stack.id, space.facts[path])

    def read(self) -> threading.RLock:
        """The lock: hold it (``with state.read():``) to make several reads one instant."""
        return self._lock
