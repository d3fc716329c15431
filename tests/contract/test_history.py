"""The history of facts, on every backend."""

from __future__ import annotations

import random

import pytest

from factstore.core.errors import NotFound
from factstore.core.model.fact import Scope
from factstore.core.services.history import FactHistory
from tests.contract.world import Worker, World, author


def told(history: FactHistory) -> list[tuple[str, str | None, str | None]]:
    """Return the types, the values and the authors, the newest first."""
    return [
        (past.change.type, past.change.fact.text if past.change.fact else None, past.change.by)
        for past in history.changes
    ]


def test_every_worker_has_the_changes_of_a_fact_with_their_authors(
    world: World, scope: Scope
) -> None:
    first, second = world.worker(), world.worker()
    first.put(scope, "a", 1)
    first.put(scope, "b", 1)
    first.put(scope, "a", 2)
    first.put(scope, "a", 2)  # changes nothing
    second.delete(scope, "a")
    third = first.put(scope, "a", 3)
    for worker in (first, second, world.worker()):
        assert told(worker.history.changes(scope, "a", 100)) == [
            ("fact.put", "3", "alice"),
            ("fact.delete", None, "alice"),
            ("fact.put", "2", "alice"),
            ("fact.put", "1", "alice"),
        ]
    found = second.history.changes(scope, "a", 2)
    assert (len(found.changes), found.more) == (2, True)
    assert found.changes[0].cursor.revision == third.revision
    older = second.history.changes(scope, "a", 2, before=found.changes[-1].cursor)
    assert ([each[1] for each in told(older)], older.more) == (["2", "1"], False)
    with pytest.raises(NotFound):
        first.history.changes(scope, "c", 1)


def test_a_stack_that_was_created_again_has_no_history_of_the_former(
    worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "a", 1)
    worker.stacks.delete(scope, author())
    with pytest.raises(NotFound):
        worker.history.changes(scope, "a", 100)
    worker.put(scope, "a", 2)
    assert told(worker.history.changes(scope, "a", 100)) == [("fact.put", "2", "alice")]


def test_the_oldest_value_outlives_the_events(world: World, scope: Scope) -> None:
    worker = world.worker(history=5)
    begin = worker.put(scope, "a", 0)
    for n in range(1, 20):
        worker.put(scope, "a", n)
    found = worker.history.changes(scope, "a", 100)
    values = [each[1] for each in told(found)]
    assert values == [str(n) for n in reversed(range(20 - len(values), 20))]
    assert 2 <= len(values) <= 6
    assert begin.revision < found.changes[-1].cursor.revision <= found.since.revision
    for n in range(10):
        worker.put(scope, f"others/{n}", 1)
    found = worker.history.changes(scope, "a", 100)
    assert told(found) == [("fact.put", "19", "alice")]
    assert found.changes[0].cursor.revision < found.since.revision


def test_histories_agree_with_the_writes(worker: Worker, scope: Scope) -> None:
    made: dict[str, list[str | None]] = {path: [] for path in ("a", "b", "c/d")}
    chosen = random.Random(7)
    for n in range(120):
        path = chosen.choice(list(made))
        if made[path] and made[path][-1] is not None and chosen.random() < 0.3:
            worker.delete(scope, path)
            made[path].append(None)
        else:
            worker.put(scope, path, n)
            made[path].append(str(n))
    for path, values in made.items():
        found = worker.history.changes(scope, path, 1000)
        assert [each[1] for each in told(found)] == values[::-1]
