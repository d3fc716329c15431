"""Configurations and facts that others wrote: their numbers, and what is in the place of a result."""

from __future__ import annotations

from typing import Any

import pytest

from factstore.core.model.fact import Scope
from tests.contract.membership import join
from tests.contract.test_configurations import get, put, report, states
from tests.contract.world import Worker
from tests.unit.core.test_configuration import BODY


def test_the_number_of_a_foreign_fact_does_not_use_up_those_of_others(
    worker: Worker, scope: Scope
) -> None:
    join(worker, scope, "a")
    foreign: dict[str, Any] = {"id": "x", "sequence": 2**63 - 1, **BODY}
    worker.put(scope, "configs/a/foreign", foreign)
    put(worker, scope, "a/foreign", timeout=9)
    for name in ("x", "y"):
        put(worker, scope, f"a/{name}")
    assert [get(worker, scope, f"a/{name}").configuration.sequence for name in ("x", "y")] == [1, 2]
    assert list(states(worker, scope)) == ["a/x", "a/y", "a/foreign"]


@pytest.mark.parametrize("paths", [["results/a/x/1", "results/a/x/y/2"], ["results/a"]])
def test_a_result_replaces_other_facts_in_its_place(
    worker: Worker, scope: Scope, paths: list[str]
) -> None:
    join(worker, scope, "a")
    first, second = put(worker, scope, "a/x"), put(worker, scope, "a/y")
    worker.batch(scope, [*paths, "results/b/x"])
    report(worker, scope, "a/x", first, "in_progress")
    report(worker, scope, "a/x", first)
    report(worker, scope, "a/y", second)
    assert states(worker, scope) == {"a/x": "complete", "a/y": "complete"}
    results = [path for path in worker.paths(scope) if path.startswith("results")]
    assert results == ["results/a/x", "results/a/y", "results/b/x"]
