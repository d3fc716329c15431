"""Configurations: circles of dependencies, and facts that are no configurations."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Conflict
from factstore.core.model.configuration import (
    Configuration,
    ConfigurationDefinition,
    check_no_circle,
)
from factstore.core.model.configuration_result import ConfigurationResult, StoredResult
from factstore.core.state.configurations import configurations, view_configurations
from tests.unit.core.factories import fact
from tests.unit.core.records import stack_state

BODY: dict[str, Any] = {
    "group": "script",
    "config": "exit 0",
    "options": {},
    "inputs": {"b": 1, "a": [None]},
    "input_facts": {"c": "secrets/c"},
    "outputs": ["url"],
    "depends_on": ["m/other"],
    "action": "CREATE",
    "on_interrupt": "fail",
    "timeout": 60,
    "trigger": "1",
}
RESULT: dict[str, Any] = {
    "id": "i",
    "state": "complete",
    "status_code": 0,
    "stdout": "",
    "stderr": "",
    "outputs": {},
    "percent": None,
    "message": "",
    "reason": "",
}

KEYS = [f"m{n}/x" for n in range(5)]
GRAPHS = st.dictionaries(
    st.sampled_from(KEYS), st.lists(st.sampled_from(KEYS), unique=True), max_size=5
)


def waits_for_itself(graph: dict[str, list[str]], start: str) -> bool:
    reached: set[str] = set()
    for _ in KEYS:
        reached |= {each for key in (start, *reached) for each in graph.get(key, ())}
    return start in reached


@given(GRAPHS, st.sampled_from(KEYS))
def test_a_configuration_is_refused_exactly_if_it_would_wait_for_itself(
    graph: dict[str, list[str]], key: str
) -> None:
    try:
        check_no_circle(key, graph.get(key, []), lambda each: graph.get(each, []))
    except Conflict as error:
        circle: Any = error.extra["circle"]
        assert circle[0] == circle[-1] == key
        assert all(other in graph[one] for one, other in pairwise(circle))
        assert len(set(circle)) == len(circle) - 1
    else:
        assert not waits_for_itself(graph, key)


def test_a_configuration_is_the_one_that_was_stored() -> None:
    definition = ConfigurationDefinition.of(BODY)
    stored = replace(fact("configs/m/x"), text="")
    written = Configuration("m", "x", "i", 3, definition, stored)
    assert written.document == {"id": "i", "sequence": 3, **BODY}
    stored = replace(stored, text=json.dumps(written.document))
    assert Configuration.parse(stored) == replace(written, fact=stored)
    deployed = replace(stored, text=json.dumps({**written.document, "deployed_on": ["m/other"]}))
    found = Configuration.parse(deployed)
    assert found is not None
    assert found.deployed_on == ("m/other",)
    earlier = {name: value for name, value in written.document.items() if name != "trigger"}
    found = Configuration.parse(replace(stored, text=json.dumps(earlier)))
    assert found is not None
    assert found.definition == replace(definition, trigger="")
    assert definition == ConfigurationDefinition.of(dict(reversed(BODY.items())))


@pytest.mark.parametrize(
    "text",
    [
        *("1", "null", "[]", "{}"),
        json.dumps({"id": 1, "sequence": 1, **BODY}),
        json.dumps({"id": "i", "sequence": 1, **BODY, "deployed_on": 1}),
        json.dumps({"id": "i", "sequence": 1, **BODY, "deployed_on": ["m"]}),
    ],
)
def test_a_fact_with_something_else_is_no_configuration(text: str) -> None:
    found = replace(fact("configs/m/x"), text=text)
    assert Configuration.parse(found) is None
    assert StoredResult.parse(found) is None


@pytest.mark.parametrize("change", [{"started_at": None}, {"state": "done"}, {"stdout": 1}])
def test_a_fact_that_a_member_put_there_is_no_result(change: dict[str, object]) -> None:
    good = {**RESULT, "started_at": "t", "ended_at": None}
    found = replace(fact("results/m/x"), text=json.dumps(good))
    parsed = StoredResult.parse(found)
    assert parsed is not None
    assert parsed.result == ConfigurationResult.of(RESULT)
    assert StoredResult.parse(replace(found, text=json.dumps({**good, **change}))) is None


def test_a_list_parses_each_configuration_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    state = stack_state()
    keys = [f"m/c{at}" for at in range(32)]
    for key in keys:
        others = [other for other in keys if other != key]  # no circles are checked here
        for member, action in (("m", "CREATE"), ("n", "DELETE")):
            body = {**BODY, "id": key, "sequence": 1, "action": action, "depends_on": others}
            state.put(fact(f"configs/{member}/{key[2:]}", body))
    parses = 0
    parse = Configuration.parse

    def counted(found: Any) -> Configuration | None:
        nonlocal parses
        parses += 1
        return parse(found)

    monkeypatch.setattr(Configuration, "parse", counted)
    assert len(view_configurations(state, configurations(state))) == 64
    assert parses <= 3 * 64
