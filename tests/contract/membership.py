"""Short functions for joining, declaring and observing members."""

from __future__ import annotations

import pytest

from factstore.core.errors import (
    FactstoreError,
    NotFound,
)
from factstore.core.model.event import Change
from factstore.core.model.fact import Scope
from factstore.core.model.member import JoinRequest
from factstore.core.operations.idempotency import Idempotency
from factstore.core.services.members import Joined
from factstore.core.services.watch_filter import Filter
from tests.contract.world import Worker, author, events_since


def join(
    worker: Worker,
    scope: Scope,
    name: str = "c1",
    group: str = "compute",
    ttl: int | None = 600,
    by: str = "alice",
    generation: str | None = None,
    key: Idempotency | None = None,
    **attributes: object,
) -> Joined:
    request = JoinRequest.of(group, ttl, attributes, generation)
    return worker.members.join(scope, name, request, author(by), key)


def declare(
    worker: Worker,
    scope: Scope,
    name: str = "c1",
    group: str = "compute",
    declared: str = "heat:1",
    reason: str | None = None,
    by: str = "heat",
    **attributes: object,
) -> Joined:
    """Declare a member; create the stack first if it does not exist."""
    request = JoinRequest.of(group, None, attributes, declared=declared, reason=reason)
    try:
        return worker.members.join(scope, name, request, author(by))
    except NotFound:
        worker.stacks.put(scope, "", author(by))
        return worker.members.join(scope, name, request, author(by))


def changes_since(worker: Worker, scope: Scope, revision: int) -> list[tuple[Change, ...]]:
    """Return the changes of each event after a revision."""
    count = len(events_since(worker, scope, revision))
    found = worker.watch.poll(scope, worker.cursor(revision), 0, Filter())
    return [event.changes for event in found.events[:count]]


def changes_by_event(worker: Worker, scope: Scope, revision: int) -> list[list[str]]:
    """Return the type and the member or path of each change, by event."""
    found = []
    for changes in changes_since(worker, scope, revision):
        lines = []
        for change in changes:
            member = change.record or change.former
            lines.append(f"{change.type} {member.name if member else change.path}")
        found.append(lines)
    return found


def names(worker: Worker, scope: Scope, **options: object) -> list[str]:
    page = worker.members.list(scope, limit=1000, **options)  # type: ignore[arg-type]
    return [member.name for member in page.items]


def refusal(error: pytest.ExceptionInfo[FactstoreError]) -> str:
    return error.value.code
