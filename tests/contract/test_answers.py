"""A write that was applied is answered with what it wrote, although a deletion follows at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from factstore.core.model.configuration import ConfigurationDefinition
from factstore.core.model.configuration_result import ConfigurationResult
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Scope
from factstore.core.model.turn import TurnRequest
from factstore.core.operations.signals import SignalRequest
from tests.contract.membership import join
from tests.contract.test_configurations import put
from tests.contract.world import Worker, World, author, soon
from tests.unit.core.test_configuration import BODY, RESULT

Delete = Callable[[Worker, Scope], object]
DELETIONS: dict[str, Delete] = {
    "of the thing": lambda worker, scope: _delete_all(worker, scope),
    "of the stack": lambda worker, scope: worker.stacks.delete(scope, author()),
}


def _delete_all(worker: Worker, scope: Scope) -> None:
    worker.services.configurations.delete(scope, "a/x", author())
    worker.waiters.delete(scope, "w", author())
    if worker.turns.list(scope, unless=lambda found: False):
        worker.turns.give_back(scope, "q", "a", None, author())


@pytest.mark.parametrize("name", DELETIONS)
@pytest.mark.parametrize("write", ["configuration", "result", "signal", "turn"])
def test_a_write_is_answered_although_a_deletion_follows_at_once(
    world: World,
    worker: Worker,
    scope: Scope,
    monkeypatch: pytest.MonkeyPatch,
    write: str,
    name: str,
) -> None:
    other, run = world.worker(), worker.transactor.run
    join(worker, scope, "a")
    put(worker, scope, "b/y")
    first = put(worker, scope, "a/x")
    signals = Definition.of({"success": {"signals": 9}})
    worker.waiters.put(scope, "w", signals, author(), create_only=False)
    written: list[str] = []

    def run_and_delete(operation: Any) -> Any:
        done = run(operation)
        if getattr(operation, "author", None) is not None:  # else it is the controller's
            written.append(type(operation).__name__)
            DELETIONS[name](other, scope)
            worker.store.refresh(soon())
        return done

    monkeypatch.setattr(worker.transactor, "run", run_and_delete)
    service = worker.services.configurations
    match write:
        case "configuration":
            changed = ConfigurationDefinition.of({**BODY, "depends_on": ["b/y"]})
            view, outcome, cursor = service.put(scope, "a/x", changed, author(), create_only=False)
            assert (view.state, view.waits_for, outcome) == ("waiting", ("b/y",), "changed")
            assert view.configuration.fact.revision == cursor.revision
        case "result":
            result = ConfigurationResult.of({**RESULT, "id": first, "state": "complete"})
            view, is_new, cursor = service.report(scope, "a/x", result, author())
            assert (view.state, is_new) == ("complete", True)
            assert view.result is not None
            assert view.result.fact.revision == cursor.revision
        case "signal":
            waiter, signal = worker.waiters.signal(
                scope, "w", SignalRequest.of({"id": "s"}), author()
            )
            assert (waiter.waiter.name, [each.id for each in waiter.signals]) == ("w", ["s"])
            assert signal.revision
        case "turn":
            taken = worker.turns.take(scope, "q", "a", TurnRequest.of(), author())
            assert (taken.created, taken.queued.holds, taken.queued.position) == (True, True, 1)
            assert taken.queued.turn.revision == taken.cursor.revision
    assert len(written) == 1
