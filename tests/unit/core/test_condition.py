"""The grammar of waiters' conditions."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Invalid
from factstore.core.model.comparison import Test as Demand
from factstore.core.model.condition import (
    AllOf,
    AnyOf,
    Condition,
    Converged,
    EveryMember,
    Facts,
    Signals,
    leaves,
)
from factstore.core.model.definition import Definition
from factstore.core.model.value import canonical
from tests.unit.core.conditions import documents

FACTS = {"facts": "a", "present": True}
DEFAULTS = {
    "count": 1,
    "at_least": 1,
    "group": "",
    "failure": None,
    "timeout": 3600,
    "extend_on_progress": False,
    "include_draining": False,
}

names = st.sampled_from(
    [
        *("success", "failure", "timeout", "extend_on_progress", "facts", "equals", "present"),
        *("count", "every_member", "group", "fact", "at_least", "converged", "signals"),
        *("all", "any", "include_draining", "\ud800", "colour"),
        *("at_most", "in", "match", "value", "fail_when_stuck"),
    ]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**70, -1, 0, 1, 2, 1001, "a", "nodes/*/s", "*", "", "\ud800", "\0"]),
    st.floats(),
    st.text(st.characters(), max_size=6),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


def sparse(given: Any) -> Any:
    """Return a document without the members that have their default."""
    if isinstance(given, list):
        return [sparse(part) for part in given]
    if not isinstance(given, dict):
        return given
    return {
        name: part if name in ("equals", "value", "in", "at_least") else sparse(part)
        for name, part in given.items()
        if name not in DEFAULTS
        or DEFAULTS[name] != part
        or (name == "at_least" and "facts" in given)
    }


def nested(depth: int) -> Any:
    """Return a condition nested to a depth."""
    made: Any = FACTS
    for level in range(depth - 1):
        made = {"all" if level % 2 else "any": [made]}
    return made


def value_of_depth(depth: int) -> Any:
    made: Any = 1
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize(
    ("document", "condition"),
    [
        ({"facts": "a/b", "equals": "up"}, Facts("a/b", Demand('"up"'), 1)),
        ({"facts": "a", "equals": None}, Facts("a", Demand("null"), 1)),
        ({"facts": "a", "equals": {"b": 1, "a": 2}}, Facts("a", Demand('{"a":2,"b":1}'), 1)),
        ({"facts": "a", "present": True}, Facts("a", Demand(), 1)),
        (
            {"facts": "nodes/*/services/*", "present": True, "count": 10_000},
            Facts("nodes/*/services/*", Demand(), 10_000),
        ),
        ({"facts": "/".join("*" * 16), "equals": 1}, Facts("/".join("*" * 16), Demand("1"), 1)),
        (
            {"every_member": {"fact": "services/slurmd", "equals": "started"}},
            EveryMember("", "services/slurmd", Demand('"started"'), 1),
        ),
        (
            {"every_member": {"group": "compute", "fact": "ip", "present": True, "at_least": 0}},
            EveryMember("compute", "ip", Demand(), 0),
        ),
        ({"facts": "load", "at_least": 0.5}, Facts("load", Demand(at_least=0.5), 1)),
        ({"facts": "load", "at_most": 2.0}, Facts("load", Demand(at_most=2), 1)),
        (
            {"facts": "*", "at_least": -1, "at_most": 1e300},
            Facts("*", Demand(at_least=-1, at_most=1e300), 1),
        ),
        ({"facts": "a", "at_least": 3, "at_most": 3}, Facts("a", Demand(at_least=3, at_most=3))),
        ({"facts": "a", "in": ["b", 1, "b"]}, Facts("a", Demand(values=('"b"', "1")))),
        ({"facts": "a", "match": "v2.*"}, Facts("a", Demand(match="v2.*"))),
        (
            {"every_member": {"fact": "load", "at_least": 3, "value": {"at_most": 1}}},
            EveryMember("", "load", Demand(at_most=1), 3),
        ),
        ({"converged": {}}, Converged("")),
        ({"converged": {"group": "head"}}, Converged("head")),
        ({"converged": {"include_draining": False}}, Converged("")),
        ({"converged": {"include_draining": True}}, Converged("", include_draining=True)),
        (
            {"every_member": {"fact": "ip", "present": True, "include_draining": True}},
            EveryMember("", "ip", Demand(), 1, include_draining=True),
        ),
        ({"signals": 1}, Signals(1)),
        ({"signals": 1000}, Signals(1000)),
        ({"all": [FACTS]}, AllOf((Facts("a", Demand(), 1),))),
        (
            {"any": [{"signals": 2}, {"all": [FACTS, {"converged": {}}]}]},
            AnyOf((Signals(2), AllOf((Facts("a", Demand(), 1), Converged(""))))),
        ),
    ],
)
def test_each_condition_is_parsed_with_its_defaults(
    document: dict[str, Any], condition: Condition
) -> None:
    made = Definition.of({"success": document})
    assert made == Definition(condition, None, 3600, False)
    assert Definition.parse(made.text) == made


def test_timeout_and_extend_on_progress_are_parsed() -> None:
    made = Definition.of(
        {"success": {"signals": 1}, "failure": FACTS, "timeout": 1, "extend_on_progress": True}
    )
    assert made == Definition(Signals(1), Facts("a", Demand(), 1), 1, True)


def test_the_text_is_canonical_and_has_all_defaults() -> None:
    assert Definition.of({"success": FACTS}).text == (
        '{"extend_on_progress":false,"failure":null,'
        '"success":{"count":1,"facts":"a","present":true},"timeout":3600}'
    )


@pytest.mark.parametrize(
    ("success", "field", "says"),
    [
        (None, "success", "null"),
        ([], "success", "an empty array"),
        ({}, "success", "none of the names"),
        ({"all": [FACTS], "signals": 1}, "success", "signals and all"),
        ({"present": True}, "success", "none of the names"),
        ({**FACTS, "colour": 1}, "success", "'colour'"),
        ({**FACTS, "at_least": 1}, "success", "present and at_least"),
        ({**FACTS, "value": {"at_least": 1}}, "success", "'value'"),
        ({"facts": "a", "at_least": 1, "in": [1]}, "success", "at_least and in"),
        ({"facts": "a", "at_least": "1"}, "success.at_least", "string '1'"),
        ({"facts": "a", "at_least": True}, "success.at_least", "true"),
        ({"facts": "a", "at_least": None}, "success.at_least", "null"),
        ({"facts": "a", "at_most": math.nan}, "success.at_most", "no fact"),
        ({"facts": "a", "at_most": math.inf}, "success.at_most", "no fact"),
        ({"facts": "a", "at_most": 2**70}, "success.at_most", "a huge number"),
        ({"facts": "a", "at_least": 2, "at_most": 1.5}, "success.at_most", "below at_least"),
        ({"facts": "a", "in": []}, "success.in", "an empty array"),
        ({"facts": "a", "in": "b"}, "success.in", "string 'b'"),
        ({"facts": "a", "in": list(range(101))}, "success.in", "an array of 101"),
        ({"facts": "a", "in": [1, "\0"]}, "success.in.1", "NUL"),
        ({"facts": "a", "match": ""}, "success.match", "''"),
        ({"facts": "a", "match": "*" * 129}, "success.match", "a longer string"),
        ({"facts": "a", "match": ["*"]}, "success.match", "an array"),
        ({"facts": "a", "match": "\ud800"}, "success.match", "surrogate"),
        ({"every_member": {"fact": "a", "at_most": 1}}, "success.every_member", "'at_most'"),
        ({"every_member": {"fact": "a", "value": 1}}, "success.every_member.value", "number 1"),
        ({"every_member": {"fact": "a", "value": {}}}, "success.every_member.value", "none of"),
        (
            {"every_member": {"fact": "a", "value": {"equals": 1}}},
            "success.every_member.value",
            "'equals'",
        ),
        (
            {"every_member": {"fact": "a", "value": {"at_least": "9"}}},
            "success.every_member.value.at_least",
            "string '9'",
        ),
        (
            {"every_member": {"fact": "a", "equals": 1, "value": {"match": "*"}}},
            "success.every_member",
            "equals and value",
        ),
        ({"signals": 1, "count": 1}, "success", "'count'"),
        ({"facts": "a"}, "success", "none of equals, present, at_least"),
        ({**FACTS, "equals": 1}, "success", "equals and present"),
        ({"facts": "a", "present": False}, "success.present", "false"),
        ({"facts": "a", "present": 1}, "success.present", "number 1"),
        ({"facts": 1, "present": True}, "success.facts", "number 1"),
        ({"facts": "", "present": True}, "success.facts", "''"),
        ({"facts": "a/", "present": True}, "success.facts", "'a/'"),
        ({"facts": "a/n*", "present": True}, "success.facts", "one whole segment"),
        ({"facts": "**", "present": True}, "success.facts", "one whole segment"),
        ({"facts": "/".join("*" * 17), "present": True}, "success.facts", "1 to 16 segments"),
        ({"facts": "*/a\n", "present": True}, "success.facts", r"'*/a\n'"),
        ({"facts": "*", "present": True, "count": 0}, "success.count", "from 1 to 10000"),
        ({"facts": "*", "present": True, "count": 10_001}, "success.count", "from 1 to 10000"),
        ({"facts": "*", "present": True, "count": True}, "success.count", "true"),
        ({"facts": "*", "present": True, "count": 1.0}, "success.count", "1.0"),
        ({"facts": "*", "present": True, "count": None}, "success.count", "null"),
        ({"facts": "a", "present": True, "count": 2}, "success.count", "one fact"),
        ({"facts": "a", "equals": "\0"}, "success.equals", "NUL"),
        ({"facts": "a", "equals": "\ud800"}, "success.equals", "surrogate"),
        ({"facts": "a", "equals": math.nan}, "success.equals", "no fact"),
        ({"facts": "a", "equals": 10**5000}, "success.equals", "no fact"),
        ({"facts": "a", "equals": value_of_depth(33)}, "success.equals", "32 levels"),
        ({"facts": "a", "equals": "x" * 70_000}, "success.equals", "65536"),
        ({"facts": "a", "equals": "x" * 17_000}, "", "16384"),
        ({"facts": "a", "equals": "\u20ac" * 6_000}, "", "16384"),
        ({"every_member": None}, "success.every_member", "null"),
        ({"every_member": {"present": True}}, "success.every_member.fact", "missing"),
        ({"every_member": {"fact": None}}, "success.every_member.fact", "null"),
        ({"every_member": {"fact": "a"}}, "success.every_member", "none of equals, present, value"),
        ({"every_member": {"fact": "*", "present": True}}, "success.every_member.fact", "'*'"),
        (
            {"every_member": {"fact": "/".join("a" * 15), "present": True}},
            "success.every_member.fact",
            "nodes/<member>/",
        ),
        (
            {"every_member": {"fact": "a", "present": True, "at_least": -1}},
            "success.every_member.at_least",
            "from 0 to 10000",
        ),
        (
            {"every_member": {"fact": "a", "present": True, "at_least": False}},
            "success.every_member.at_least",
            "false",
        ),
        ({"every_member": {"fact": "a", "count": 1}}, "success.every_member", "'count'"),
        (
            {"every_member": {"fact": "a", "present": True, "group": "a/b"}},
            "success.every_member.group",
            "'a/b'",
        ),
        ({"converged": True}, "success.converged", "true"),
        ({"converged": {"group": None}}, "success.converged.group", "null"),
        ({"converged": {"fact": "a"}}, "success.converged", "'fact'"),
        ({"converged": {"include_draining": 1}}, "success.converged.include_draining", "number 1"),
        (
            {"every_member": {"fact": "a", "present": True, "include_draining": "true"}},
            "success.every_member.include_draining",
            "string 'true'",
        ),
        ({"signals": 0}, "success.signals", "from 1 to 1000"),
        ({"signals": 1001}, "success.signals", "from 1 to 1000"),
        ({"signals": True}, "success.signals", "true"),
        ({"signals": "2"}, "success.signals", "'2'"),
        ({"all": []}, "success.all", "empty"),
        ({"any": {}}, "success.any", "an empty object"),
        ({"all": [FACTS, 7]}, "success.all.1", "number 7"),
        ({"all": [FACTS, {"facts": "/", "present": True}]}, "success.all.1.facts", "'/'"),
        (
            {"any": [{"all": [FACTS, {"any": [{"signals": 0}]}]}]},
            "success.any.0.all.1.any.0.signals",
            "number 0",
        ),
        (nested(9), "success" + ".all.0.any.0" * 4, "at most 8"),
        ({"all": [FACTS] * 17}, "", "17 conditions"),
    ],
)
def test_an_invalid_condition_is_refused_with_its_position(
    success: Any, field: str, says: str
) -> None:
    with pytest.raises(Invalid) as refused:
        Definition.of({"success": success})
    assert refused.value.code == "condition_invalid"
    assert refused.value.extra == {"field": field}
    subject = f"Field '{field}'" if field else "The definition"
    assert refused.value.detail.startswith(f"{subject}: ")
    assert refused.value.detail.endswith(".")
    assert says in refused.value.detail
    refused.value.detail.encode("ascii")  # can be shown and logged anywhere


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": 30 * 24 * 3600 + 1}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": 1.5}, "timeout"),
        ({"timeout": None}, "timeout"),
        ({"extend_on_progress": 1}, "extend_on_progress"),
        ({"extend_on_progress": None}, "extend_on_progress"),
        ({"fail_when_stuck": 0}, "fail_when_stuck"),
        ({"fail_when_stuck": "1"}, "fail_when_stuck"),
        ({"failure": {"signals": 1}}, "failure.signals"),
        ({"failure": {"converged": {}}}, "failure.converged"),
        ({"failure": {"any": [FACTS, {"all": [{"signals": 1}]}]}}, "failure.any.1.all.0.signals"),
        ({"failure": False}, "failure"),
        ({"failure": {"all": [FACTS] * 16}}, ""),
        ({"fail": FACTS}, ""),
    ],
)
def test_an_invalid_field_beside_success_is_refused_with_its_position(
    members: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        Definition.of({"success": FACTS, **members})
    assert refused.value.extra == {"field": field}


@pytest.mark.parametrize("document", [None, [], "success", 1, {}, {"failure": FACTS}])
def test_a_definition_is_an_object_with_success(document: Any) -> None:
    with pytest.raises(Invalid) as refused:
        Definition.of(document)
    assert refused.value.code == "condition_invalid"


@pytest.mark.parametrize(
    "document",
    [
        {"success": nested(8)},
        {"success": {"all": [FACTS] * 15}, "failure": FACTS},
        {"success": {"facts": "a", "equals": value_of_depth(32)}},
        {"success": {"every_member": {"fact": "/".join("a" * 14), "present": True}}},
        {"success": FACTS, "timeout": 1},
        {"success": FACTS, "timeout": 30 * 24 * 3600},
    ],
)
def test_the_limits_themselves_are_allowed(document: Any) -> None:
    made = Definition.of(document)
    assert Definition.parse(made.text) == made


@given(documents)
def test_a_definition_can_be_parsed_from_its_text(document: Any) -> None:
    made = Definition.of(document)
    assert Definition.parse(made.text) == made
    assert made.text == canonical(document)


@given(documents, documents)
def test_definitions_have_equal_texts_if_and_only_if_they_are_equal(one: Any, other: Any) -> None:
    a, b = Definition.of(one), Definition.of(other)
    assert (a.text == b.text) == (a == b)


@given(documents)
def test_defaults_that_are_written_out_make_no_difference(document: Any) -> None:
    made = Definition.of(sparse(document))
    assert made == Definition.of(document)
    assert made.text == Definition.of(document).text


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ("1", 1)])
def test_equal_values_of_different_types_make_different_definitions(one: Any, other: Any) -> None:
    a, b = (Definition.of({"success": {"facts": "a", "equals": v}}) for v in (one, other))
    assert a != b
    assert a.text != b.text


@given(anything | st.dictionaries(names, anything, max_size=4))
def test_any_document_is_parsed_or_refused_with_a_code(document: Any) -> None:
    try:
        made = Definition.of(document)
    except Invalid as refused:
        assert refused.code == "condition_invalid"  # noqa: PT017 - either outcome is right
        refused.detail.encode("ascii")
        str(refused.extra["field"]).encode("ascii")
    else:
        assert Definition.parse(made.text) == made


@given(documents, st.data())
def test_any_value_in_place_of_a_part_is_parsed_or_refused_with_a_code(
    document: Any, data: st.DataObject
) -> None:
    # The strategies return the same lists and dictionaries again.
    document = deepcopy(document)
    spots: list[tuple[Any, Any]] = []
    todo = [document]
    while todo:
        holder = todo.pop()
        for key, part in holder.items() if isinstance(holder, dict) else enumerate(holder):
            spots.append((holder, key))
            if isinstance(part, dict | list):
                todo.append(part)
    holder, key = data.draw(st.sampled_from(spots), label="where")
    holder[key] = data.draw(anything, label="what")
    try:
        made = Definition.of(document)
    except Invalid as refused:
        assert refused.code == "condition_invalid"  # noqa: PT017 - either outcome is right
    else:
        assert Definition.parse(made.text) == made


def test_the_leaves_are_the_conditions_without_parts_in_order() -> None:
    made = Definition.of(
        {"success": {"any": [{"signals": 2}, {"all": [FACTS, {"converged": {}}]}]}}
    )
    assert list(leaves(made.success)) == [Signals(2), Facts("a", Demand(), 1), Converged("")]
