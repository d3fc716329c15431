"""The controller: missed changes, fact spaces, options and whole stacks."""

from __future__ import annotations

from factstore.client import Client
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.scaling import (
    SNIPPET,
    MemberEvents,
    Warnings,
    agree,
    declared,
    exists,
    group,
    nested,
    once,
    scale,
    units,
)
from tests.service import ApiServer

LEAVES_STACKS = True  # see conftest.py


def without_bag(size: int) -> dict[str, object]:
    """A template whose group scales, and that declares no fact space."""
    template = group(size)
    del template["resources"]["bag"]
    return template


def test_changes_during_an_outage_are_made_up_for_by_the_next_operation(
    owner: Orchestration, facts: Client, heat: HeatServer, service: ApiServer, name: str
) -> None:
    space = facts.stack(name)
    stack = owner.create(name, group(0), environment=SNIPPET)
    scale(owner, stack, "up", 2)
    former = agree(owner, stack, space)
    warnings = Warnings(heat)
    service.stop()
    try:
        scale(owner, stack, "down", 1)
        scale(owner, stack, "up", 3)
        eventually(lambda: warnings.found())
        heat.kill()  # discards the requests that are still queued
        heat.start()
        heat.wait_ready()
    finally:
        service.start()
    events = MemberEvents(space)
    assert sorted(declared(space).values()) == former
    # The client warns of each failed attempt, and the controller of what it gave up.
    expected = ("cannot be reached", "trying again")
    assert all(any(text in line for text in expected) for line in warnings.found())
    scale(owner, stack, "down", 2)
    present = agree(owner, stack, space)
    seen = events.seen()
    assert once(seen, "member.join", list(set(present) - set(former)))
    assert once(seen, "member.depart", list(set(former) - set(present)))


def test_a_stack_without_a_fact_space_causes_no_request(
    owner: Orchestration, service: ApiServer, heat: HeatServer, name: str
) -> None:
    warnings = Warnings(heat)
    service.stop()  # each request would leave a warning in the log
    try:
        stack = owner.create(name, without_bag(1), environment=SNIPPET)
        own = {stack, nested(owner, stack)}
        scale(owner, stack, "up", 3)
        owner.delete(stack)
    finally:
        service.start()
    assert not [line for line in warnings.found() if any(each in line for each in own)]


def test_the_sink_can_name_a_fact_space_for_stacks_that_declare_none(
    owner: Orchestration, facts: Client, name: str
) -> None:
    space = facts.stack(f"{name}-shared")
    space.configure()
    named = {"event_sinks": [{"type": "factstore", "stack": f"{name}-shared"}]}
    first = owner.create(f"{name}-1", without_bag(2), environment=named)
    agree(owner, first, space)
    second = owner.create(f"{name}-2", without_bag(1), environment=named)
    both = {f"heat:{unit}" for stack in (first, second) for unit in units(owner, stack).values()}
    eventually(lambda: declared(space).keys() == both)
    scale(owner, second, "up", 3)
    owner.delete(first)
    agree(owner, second, space)  # the members that remain are those of the second stack
    owner.delete(second)
    eventually(lambda: not declared(space))
    assert exists(space)
    space.delete_stack()


def test_a_missing_fact_space_that_the_sink_names_is_not_created(
    owner: Orchestration, facts: Client, heat: HeatServer, name: str
) -> None:
    named = {"event_sinks": [{"type": "factstore", "stack": f"{name}-missing"}]}
    stack = owner.create(name, without_bag(1), environment=named)
    eventually(lambda: f"there is no stack {name}-missing" in heat.log)
    owner.delete(stack)
    assert not exists(facts.stack(f"{name}-missing"))


def test_only_the_groups_that_the_sink_names_have_members(
    owner: Orchestration, facts: Client, name: str
) -> None:
    volumes = {
        "volumes": {
            "type": "OS::Heat::ResourceGroup",
            "properties": {"count": 2, "resource_def": {"type": "OS::Heat::RandomString"}},
        }
    }
    space = facts.stack(name)
    named = {"event_sinks": [{"type": "factstore", "groups": ["compute"]}]}
    stack = owner.create(name, group(2, **volumes), environment=named)
    agree(owner, stack, space)
    assert {record.group for record in space.members()} == {"compute"}


def test_suspended_instances_depart_until_they_are_resumed_and_deleted_ones_forever(
    owner: Orchestration, facts: Client, name: str
) -> None:
    """The fact space is retained, and could keep the members of deleted instances."""
    space = facts.stack(name)
    template = group(2)
    template["resources"]["bag"]["deletion_policy"] = "Retain"
    stack = owner.create(name, template, environment=SNIPPET)
    names = agree(owner, stack, space)
    events = MemberEvents(space)
    owner.heat.actions.suspend(stack)
    owner.wait(stack, "SUSPEND_COMPLETE")
    eventually(lambda: not declared(space))
    owner.heat.actions.resume(stack)
    owner.wait(stack, "RESUME_COMPLETE")
    assert agree(owner, stack, space) == names
    seen = events.seen()
    assert sorted(seen) == sorted(
        [("member.depart", unit, "suspended") for unit in names]
        + [("member.join", unit, "resumed") for unit in names]
    )

    owner.delete(stack)
    eventually(lambda: not declared(space))
    assert {reason for _, _, reason in events.seen()[len(seen) :]} == {"scaled_in"}
    space.delete_stack()


def test_two_stacks_do_not_affect_each_other_and_an_unknown_option_is_logged_and_stops_none(
    owner: Orchestration, facts: Client, heat: HeatServer, name: str
) -> None:
    odd = {"event_sinks": [{"type": "factstore", "colour": "red"}]}
    spaces = {each: facts.stack(f"{name}-{each}") for each in ("a", "b")}
    stacks = {
        each: owner.create(f"{name}-{each}", group(1), environment=environment)
        for each, environment in (("a", SNIPPET), ("b", odd))
    }
    agree(owner, stacks["b"], spaces["b"])
    assert "no option colour" in heat.log
    scale(owner, stacks["a"], "up", 3)
    owner.delete(stacks["b"])
    agree(owner, stacks["a"], spaces["a"])
    assert not exists(spaces["b"])
