"""Records for tests, and a clock that only tests move."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from factstore.core.model.event import Mutation, PutFact, PutStack, Step
from factstore.core.model.fact import Author, Fact, Kind, Put, Scope, Stack
from factstore.core.model.value import canonical
from factstore.core.state.state import State

EPOCH = "0123456789abcdef"
PROJECT = "5f0e" * 8
SCOPE = Scope(PROJECT, "slurm")
ALICE = Author("alice", "req-alice")
NOW = "2030-01-01T00:00:00Z"

_requests = itertools.count(1)


class ManualClock:
    """A clock that only tests advance."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def timestamp(self) -> str:
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def advance(self, seconds: float) -> None:
        self.now += seconds


def author(user: str = "alice", *, may_set_parameters: bool = True) -> Author:
    """Return an author with a request of its own."""
    return Author(user, f"req-{next(_requests)}", may_set_parameters)


def stack(scope: Scope = SCOPE, stack_id: str = "s1", created: int = 1, **fields: object) -> Stack:
    made = Stack(
        project_id=scope.project_id,
        name=scope.stack,
        id=stack_id,
        description="",
        created_at=NOW,
        updated_at=NOW,
        updated_by="alice",
        request_id="req-stack",
        revision=created,
        created=created,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def fact(path: str, value: object = 1, revision: int = 0, **fields: object) -> Fact:
    kind: Kind = "observed"
    made = Fact(
        path=path,
        text=canonical(value),
        kind=kind,
        created_at=NOW,
        updated_at=NOW,
        updated_by="alice",
        request_id="req-fact",
        revision=revision,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def put(path: str, value: object = 1, kind: Kind = "observed", ttl: int | None = None) -> Put:
    return Put.of(path, value, kind, ttl)


def state_with(paths: Iterable[str] = (), **of_stack: object) -> State:
    """Return a state of one stack, whose facts were written in one revision each from 2."""
    state = State(0, EPOCH)
    state.apply(Step(1, (PutStack(stack(**of_stack)),)))  # type: ignore[arg-type]
    for revision, path in enumerate(paths, 2):
        made: list[Mutation] = [PutFact("s1", fact(path, revision, revision))]
        state.apply(Step(revision, tuple(made)))
    return state
