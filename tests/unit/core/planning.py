"""Planning a write of facts on a state, without a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from factstore.core.model.fact import Author, Delete, Put
from factstore.core.model.fact_result import FactResult
from factstore.core.model.precondition import Precondition
from factstore.core.model.quota import UNLIMITED_QUOTA, Quota
from factstore.core.model.transaction import Transaction
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.facts import WriteFacts
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.operation import Draft
from factstore.core.operations.planner import Planner
from factstore.core.state.state import State
from tests.unit.core.factories import ALICE, SCOPE, ManualClock


@dataclass
class Planned:
    """A draft, and the transaction that it makes."""

    draft: Draft[tuple[FactResult, ...]]
    commit: Transaction

    @property
    def results(self) -> tuple[FactResult, ...]:
        return self.draft.outcome


def plan_facts(
    state: State,
    requests: Sequence[Put | Delete],
    guards: Sequence[tuple[str, Precondition]] = (),
    by: Author = ALICE,
    *,
    create: bool = True,
    now: str = "now",
    quota: Quota = UNLIMITED_QUOTA,
    encryption: Encryption | None = None,
    **fields: Any,
) -> Planned:
    clock = ManualClock()
    clock.timestamp = lambda: now  # type: ignore[method-assign]
    planner = Planner(clock, lambda project_id: quota, lambda: "new-id")
    operation = WriteFacts(
        SCOPE,
        requests,
        guards,
        by,
        encryption or Encryption(NoKeyring()),
        creates_stack=create,
        **fields,
    )
    draft, transaction = planner.plan(operation, state)
    assert transaction is not None
    return Planned(draft, transaction)


def new_paths(commit: Transaction) -> list[str]:
    """Return the paths of the facts that a transaction creates."""
    return [put.path for put in commit.puts if put.version == 1]
