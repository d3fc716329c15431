"""Trackers of alarms on a changing stack, compared with a naive evaluation."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.aggregate import Aggregate
from factstore.core.model.alarm import AlarmState
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.comparison import Number
from factstore.core.model.condition import AllOf, AnyOf, Condition
from factstore.core.state import aggregate_counter
from tests.unit.core.factories import fact
from tests.unit.core.naive_conditions import World, counted, fits, holds, member
from tests.unit.core.test_condition_tracker import NAMES, Changed, changes
from tests.unit.core.tracking import TrackedAlarm

LARGEST = sys.float_info.max
NUMBERS = [0.1, 0.2, 0.3, -1, 7, 2**63 - 1, -(2**63), 1e308, -1e308, 5e-324, -0.0, "7", True]

_aggregates = st.builds(
    lambda function, what, bound, clear: {
        "aggregate": {
            "function": function,
            **what,
            bound: 1,
            "clear": 1 - clear if bound == "at_least" else 1 + clear,
        }
    },
    st.sampled_from(["avg", "max", "min", "sum", "count"]),
    st.sampled_from(
        [
            {"facts": "nodes/*/s"},
            {"facts": "a"},
            {"fact": "s"},
            {"fact": "s", "group": "compute", "include_draining": True},
            {"result": "s", "group": "compute"},
        ]
    ),
    st.sampled_from(["at_least", "at_most"]),
    st.sampled_from([0, 0.5, 3]),
)
_plain = st.sampled_from(
    [
        {"facts": "nodes/*/s", "at_least": 0.2, "count": 2},
        {"every_member": {"fact": "s", "value": {"at_most": 7}}},
        {"converged": {}},
    ]
)
_conditions = st.recursive(
    _aggregates | _aggregates | _plain,
    lambda inner: st.builds(
        lambda name, parts: {name: parts},
        st.sampled_from(["all", "any"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)
_numbers = st.builds(
    lambda path, value: ("fact", path, fact(path, value)),
    st.sampled_from(["a", "nodes/gone/s", "results/c1/s", *(f"nodes/{name}/s" for name in NAMES)]),
    st.sampled_from(NUMBERS),
)
_revisions = st.lists(
    st.lists(_numbers | changes.filter(lambda change: change[0] != "signal"), max_size=5),
    max_size=10,
)


def numbers(world: World, it: Aggregate) -> list[Number]:
    """Return the numbers that count, by reading everything."""
    if it.facts:
        paths = [path for path in world.facts if fits(it.facts, path)]
    else:
        paths = [f"{it.folder}/{name}/{it.fact}" for name in counted(world, it)]
    found = [world.facts[path] for path in paths if path in world.facts]
    values = [json.loads(each.text) for each in found if not each.sensitive]
    return [value for value in values if type(value) in (int, float)]


def aggregate(world: World, it: Aggregate) -> Fraction | None:
    found = [Fraction(number) for number in numbers(world, it)]
    if it.function == "count":
        return Fraction(len(found))
    if not found:
        return None
    if it.function == "avg":
        return sum(found) / len(found)
    return {"sum": sum, "min": min, "max": max}[it.function](found)


def as_shown(it: Aggregate, exact: Fraction) -> Fraction | float:
    """Return one of the numbers as it is, and any other as the nearest float."""
    if it.function in ("min", "max"):
        return exact
    try:
        return float(exact)
    except OverflowError:
        return LARGEST if exact > 0 else -LARGEST


def is_met(world: World, it: Condition, raised: bool) -> bool | None:
    match it:
        case Aggregate():
            exact = aggregate(world, it)
            if exact is None:
                return None
            value = as_shown(it, exact)
            bound = it.clear if raised else it.bound
            return value >= bound if it.is_least else value <= bound
        case AllOf(parts) | AnyOf(parts):
            found = [is_met(world, part, raised) for part in parts]
            decisive = isinstance(it, AnyOf)
            if decisive in found:
                return decisive
            return None if None in found else not decisive
    return holds(world, it)


@given(_conditions, _revisions, st.sampled_from(["ok", "alarm", "no_data"]))
def test_a_reading_is_that_of_a_naive_evaluation_at_each_revision(
    document: Any, history: list[list[Changed]], state: AlarmState
) -> None:
    definition = AlarmDefinition.of({"condition": document})
    assert AlarmDefinition.parse(definition.text) == definition
    world = World()
    tracker = TrackedAlarm(definition, world)
    for revision in history:
        for change in revision:
            world.change(*change)
            world.tell(tracker, *change)
        found = tracker.reading(state)
        assert found.is_met is is_met(world, definition.condition, state == "alarm")
        # An updated tracker equals a new one to the last bit, whatever the history.
        new = TrackedAlarm(definition, world)
        assert (found, tracker.ignored()) == (new.reading(state), new.ignored())
        if isinstance(definition.condition, Aggregate):
            exact = aggregate(world, definition.condition)
            assert found.value == (None if exact is None else as_shown(definition.condition, exact))
            json.dumps(found.value, allow_nan=False)


def tracked(**aggregate: object) -> TrackedAlarm:
    given_ = {"function": "avg", "fact": "s", "at_least": 1, **aggregate}
    return TrackedAlarm(AlarmDefinition.of({"condition": {"aggregate": given_}}), World())


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_beyond_all_floats_is_the_largest_one(sign: int) -> None:
    tracker = tracked(function="sum")
    for name in ("c1", "c2"):
        tracker.member(name, member(name))
        tracker.fact(f"nodes/{name}/s", fact(f"nodes/{name}/s", sign * 1e308))
    assert tracker.reading("ok").value == sign * LARGEST
    tracker.member("c1", None)
    assert tracker.reading("ok").value == sign * 1e308


def test_the_members_without_a_number_are_ignored_and_named() -> None:
    tracker = tracked()
    for name, value in (("c1", 3), ("c2", "3"), ("c3", None)):
        tracker.member(name, member(name))
        if value is not None:
            tracker.fact(f"nodes/{name}/s", fact(f"nodes/{name}/s", value))
    tracker.member("c4", member("c4"))
    tracker.fact("nodes/c4/s", fact("nodes/c4/s", None, sealed="1.x"))
    tracker.fact("nodes/gone/s", fact("nodes/gone/s", 100))
    found = tracker.reading("ok")
    assert (found.is_met, found.value, found.reason) == (
        True,
        3,
        "the avg of s of all members is 3",
    )
    assert tracker.ignored() == ["c2", "c3", "c4 (sensitive)"]
    tracker.member("c1", None)
    assert tracker.reading("ok").is_met is None
    assert tracker.reading("ok").reason == "s of all members has no number"


def test_a_changed_number_costs_the_same_among_ten_thousand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the changed fact is read, and the sum is adjusted."""
    aggregate = {"function": "sum", "facts": "nodes/*/s", "at_most": 5}
    tracker = TrackedAlarm(
        AlarmDefinition.of({"condition": {"aggregate": aggregate}}),
        World({f"nodes/n{n}/s": fact(f"nodes/n{n}/s", n % 7 + 0.1) for n in range(10_000)}),
    )
    scaled: list[Number] = []
    scale = aggregate_counter._scaled

    def counting(number: Number) -> int:
        scaled.append(number)
        return scale(number)

    monkeypatch.setattr(aggregate_counter, "_scaled", counting)
    before = tracker.reading("ok").value
    tracker.fact("nodes/n0/s", fact("nodes/n0/s", 1000.5))
    after = tracker.reading("ok").value
    assert before is not None
    assert after == pytest.approx(before + 1000.4)
    assert scaled == [0.1, 1000.5]
