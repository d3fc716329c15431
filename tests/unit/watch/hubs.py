"""Hubs for tests, their events, and what is read from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change, Event
from factstore.core.model.fact import Scope
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection, Watched
from factstore.core.ports import EventBatch, WakeUp
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.unit.core.factories import fact

A, B = (Scope("project", name) for name in ("a", "ab"))
C = Scope("other", "a")
SELECTIONS = [
    StackSelection(project_id, StackPatterns.of([pattern]))
    for project_id, pattern in (("project", "*"), ("project", "a?"), (None, "a"), (None, "*"))
]
WATCHED: list[Watched] = [A, B, C, *SELECTIONS]
SIZES = st.sampled_from([0, 100, 3_000, 30_000])


def cursor(revision: int, epoch: str = "e1") -> Cursor:
    return Cursor(epoch, revision)


def event(scope: Scope, revision: int, size: int = 0, changes: int = 1) -> Event:
    made = [
        Change("fact.put", f"p{n}", fact(f"p{n}", "x" * size, revision), None, "bob", "req-bob")
        for n in range(changes)
    ]
    return Event(scope, "s1", revision, tuple(made))


def publish(hub: Hub, revision: int, events: Sequence[Event]) -> None:
    hub.publish(revision, events, {each.scope: () for each in events})


def new_hub(
    limits: HistoryLimits,
    new_wake_up: Callable[[], WakeUp] | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Hub:
    hub = Hub(limits, new_wake_up, now)
    hub.reset(cursor(0))
    return hub


def everything(hub: Hub, of: Watched, after: int) -> EventBatch:
    return hub.read(of, cursor(after), events=10_000, size=10**9)


def revisions(found: EventBatch) -> list[int]:
    return [told.revision for told in found.events]


def includes(of: Watched, scope: Scope) -> bool:
    return of == scope if isinstance(of, Scope) else of.includes(scope)
