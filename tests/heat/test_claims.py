"""Declarations of facts that move from one resource of a stack to another."""

from __future__ import annotations

from typing import Any

import pytest

from factstore.client import Client
from tests.heat.lab.orchestration import Orchestration
from tests.heat.templates import inside, template

LEAVES_STACKS = True  # see conftest.py


def fact(path: str, value: object, **more: Any) -> dict[str, Any]:
    return {**inside("Fact", path=path, value=value), **more}


def several(mapping: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**inside("Facts", facts=mapping), **more}


def parameters(mapping: dict[str, Any]) -> dict[str, Any]:
    return {"type": "OS::FactStore::DataBag", "properties": {"parameters": mapping}}


LAST = {"depends_on": "new"}
"""The resource that had the declaration is changed after the one that has it now."""

MOVES = {
    "two facts swap their paths": (
        {"one": fact("a", 1), "two": fact("b", 2)},
        {"one": fact("b", 2), "two": fact("a", 1)},
    ),
    "a set has a fact of another set": (
        {"old": several({"a": 1, "b": 2, "c": 3}, **LAST), "new": several({"c": 3})},
        {"old": several({"a": 1}, **LAST), "new": several({"c": 3, "b": 2})},
    ),
    "a new set has a fact of another set": (
        {"old": several({"a": 1, "b": 2})},
        {"old": several({"a": 1}, **LAST), "new": several({"b": 2})},
    ),
    "the bag has a parameter of a set": (
        {"old": inside("Facts", facts={"a": 1, "b": 2}, kind="parameter")},
        {"old": inside("Facts", facts={"b": 2}, kind="parameter"), "bag": parameters({"a": 1})},
    ),
    "a set has a parameter of the bag": (
        {"bag": parameters({"a": 1, "b": 2})},
        {"bag": parameters({"a": 1}), "new": inside("Facts", facts={"b": 2}, kind="parameter")},
    ),
}


@pytest.mark.parametrize("move", MOVES)
def test_no_fact_is_lost_when_its_declaration_moves(
    user: Orchestration, facts: Client, name: str, move: str
) -> None:
    before, after = MOVES[move]
    stack = user.create(name, template(before))
    wanted = {each.path: each.value for each in facts.stack(name).snapshot().facts}
    user.update(stack, template(after))
    assert {each.path: each.value for each in facts.stack(name).snapshot().facts} == wanted


def test_a_fact_that_two_resources_declare_is_deleted_with_the_second(
    owner: Orchestration, facts: Client, name: str
) -> None:
    both = {"one": fact("a", 1), "two": several({"a": 1})}
    stack = owner.create(name, template(both))
    owner.update(stack, template({"two": both["two"]}))
    assert [each.path for each in facts.stack(name).snapshot().facts] == ["a"]
    owner.update(stack, template({}))
    assert facts.stack(name).snapshot().facts == ()
