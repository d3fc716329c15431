"""Requests and assertions of the tests of waiters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from factstore.core.model.definition import Definition
from factstore.core.model.fact import Scope
from factstore.core.model.waiter import Signal, Waiter
from factstore.core.operations.signals import SignalRequest
from factstore.core.services.waiters import ArmOutcome, WaiterView
from factstore.core.services.watch_filter import Filter
from tests.contract.world import Worker, author, soon

HERE = {"facts": "a", "present": True}
"""The fact ``a`` exists."""


def arm(
    worker: Worker,
    scope: Scope,
    name: str = "w",
    success: object = None,
    *,
    create_only: bool = False,
    **more: object,
) -> tuple[WaiterView, ArmOutcome, int]:
    """Arm a waiter, by default for the fact ``a``."""
    definition = Definition.of({"success": success or HERE, **more})
    return worker.waiters.put(scope, name, definition, author(), create_only=create_only)


def signal(worker: Worker, scope: Scope, name: str = "w", **document: Any) -> Signal:
    return worker.waiters.signal(scope, name, SignalRequest.of(document), author())[1]


def decided(worker: Worker, scope: Scope, name: str = "w", within: float = 60) -> Waiter:
    """Wait until a waiter is terminal, and return it."""
    found = worker.waiters.get(
        scope, name, wait=within, unless=lambda shown: shown.waiter.state == "pending"
    ).waiter
    assert found.state != "pending", found
    return found


def state_of(worker: Worker, scope: Scope, name: str = "w") -> str:
    return worker.waiters.get(scope, name).waiter.state


def progress(worker: Worker, scope: Scope, name: str = "w") -> tuple[int, int]:
    found = worker.waiters.get(scope, name).progress
    return found.satisfied, found.needed


def waiter_events(worker: Worker, scope: Scope, since: int) -> list[tuple[str, str]]:
    """Return the waiters' names and the types of their events after a revision, in order."""
    cursor, upto = worker.cursor(since), worker.store.refresh(soon()).revision
    found = []
    while cursor.revision < upto:  # the hub may lag
        page = worker.watch.poll(scope, cursor, 1, Filter())
        for event in page.events:
            for change in event.changes:
                if isinstance(change.record, Waiter):
                    found.append((change.record.name, change.type))
        cursor = page.next
    return found


def counts(worker: Worker, scope: Scope, since: int) -> Counter[str]:
    """Return the number of terminal events of each waiter."""
    return Counter(name for name, _ in waiter_events(worker, scope, since))


def same_everywhere(workers: Iterable[Worker], scope: Scope, since: int) -> list[tuple[str, str]]:
    """Return the events of waiters, and assert that they are the same on all workers."""
    first, *others = (waiter_events(worker, scope, since) for worker in workers)
    assert all(other == first for other in others)
    return first
