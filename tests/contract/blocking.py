"""Reads that wait, and what a stack's waits and events show of them."""

from __future__ import annotations

from collections.abc import Iterable

from factstore.core.model.fact import Scope
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.wait import Party, Wait
from factstore.core.services.waits import WaitsView
from tests.contract.membership import changes_since
from tests.contract.world import Worker, soon

USER = Party("user", "alice")


def seen(worker: Worker, scope: Scope, permissions: Permissions = OWNER) -> WaitsView:
    return worker.waits.get(scope, permissions)


def texts(waits: Iterable[Wait]) -> list[str]:
    """Return waits as ``who > what > whom``."""
    return [
        f"{wait.who.name} > {wait.goal.name} > {','.join(owner.name for owner in wait.owners)}"
        for wait in waits
    ]


def agent(member: str) -> Permissions:
    return Permissions("agent", member)


def block(worker: Worker, scope: Scope, path: str, reader: Party = USER, wait: float = 60) -> None:
    """Block a read, as a request does that waits in another thread."""
    worker.services.blocked_reads.begin(scope, path, reader)


def member(name: str) -> Party:
    return Party("member", name)


def look(*workers: Worker, times: int = 2) -> None:
    for _ in range(times):
        for each in workers:
            each.store.refresh(soon())
            each.wait_monitor.run_once()


def reports(worker: Worker, scope: Scope, since: int) -> list[tuple[str, str | None]]:
    """Return the types and reasons of the changes of a stack as a whole after a revision."""
    return [
        (change.type, change.reason)
        for changes in changes_since(worker, scope, since)
        for change in changes
        if change.type.startswith("stack.")
    ]
