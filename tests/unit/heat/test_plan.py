"""The changes that make the members match the instances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from factstore.heat.autoscaling.instances import Instance
from factstore.heat.autoscaling.plan import ExistingMember, MemberChange, plan_changes
from tests.unit.heat.trees import instance_of, resource


def member(name: str, declared: str | None, **others: Any) -> ExistingMember:
    given = {"group": "compute", "state": "joining", "adopted": False, **others}
    return ExistingMember(name=name, declared_id=declared, **given)


def plan(
    *wanted: Instance,
    members: tuple[ExistingMember, ...] = (),
    departed: Mapping[str, str] | None = None,
    declared_elsewhere: set[str] | None = None,
) -> list[tuple[str, str, str, str]]:
    changes, _ = plan_changes(
        wanted, members, departed=departed, declared_elsewhere=declared_elsewhere
    )
    return [(change.verb, change.name, change.declared_id, change.reason) for change in changes]


# Phases


@pytest.mark.parametrize(
    "action", ["CREATE", "UPDATE", "CHECK", "ADOPT", "SNAPSHOT", "ROLLBACK", "RESTORE"]
)
def test_a_complete_resource_joins(action: str) -> None:
    assert plan(instance_of(resource("a", state=(action, "COMPLETE")))) == [
        ("declare", "host-a", "heat:id-a", "scaled_out")
    ]


@pytest.mark.parametrize("action", ["CREATE", "UPDATE", "CHECK", "SUSPEND", "RESUME", "ADOPT"])
def test_a_resource_in_progress_changes_nothing(action: str) -> None:
    instance = instance_of(resource("a", state=(action, "IN_PROGRESS")))
    assert plan(instance) == []
    assert plan(instance, members=(member("host-a", "heat:id-a"),), declared_elsewhere=set()) == []


def test_a_resource_whose_creation_has_not_begun_does_not_join() -> None:
    assert plan(instance_of(resource("a", state=("INIT", "COMPLETE")))) == []


@pytest.mark.parametrize("action", ["CREATE", "UPDATE", "DELETE", "CHECK"])
def test_a_failed_resource_departs_as_failed(action: str) -> None:
    instance = instance_of(resource("a", state=(action, "FAILED")))
    assert plan(instance, members=(member("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "failed")
    ]
    assert plan(instance) == []


def test_a_suspended_resource_departs_and_joins_again_when_resumed() -> None:
    suspended = instance_of(resource("a", state=("SUSPEND", "COMPLETE")))
    assert plan(suspended, members=(member("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "suspended")
    ]
    resumed = instance_of(resource("a", state=("RESUME", "COMPLETE")))
    assert plan(resumed) == [("declare", "host-a", "heat:id-a", "resumed")]


def test_an_instance_without_an_agent_departs_when_its_deletion_begins() -> None:
    deleting = instance_of(resource("a", state=("DELETE", "IN_PROGRESS")))
    assert plan(deleting, members=(member("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "scaled_in")
    ]


def test_an_instance_with_an_agent_drains_until_it_is_deleted() -> None:
    deleting = instance_of(resource("a", state=("DELETE", "IN_PROGRESS")))
    existing = member("host-a", "heat:id-a", adopted=True, state="ready")
    assert plan(deleting, members=(existing,)) == [("drain", "host-a", "heat:id-a", "scaled_in")]
    draining = member("host-a", "heat:id-a", adopted=True, state="draining")
    assert plan(deleting, members=(draining,)) == []
    deleted = instance_of(resource("a", state=("DELETE", "COMPLETE")))
    assert plan(deleted, members=(draining,)) == [("depart", "host-a", "heat:id-a", "scaled_in")]


def test_a_resource_without_a_row_departs() -> None:
    assert plan(members=(member("host-a", "heat:id-a"),), departed={"heat:id-a": "scaled_in"}) == [
        ("depart", "host-a", "heat:id-a", "scaled_in")
    ]
    assert plan(departed={"heat:id-a": "scaled_in"}) == []


# Identity


def test_a_member_that_is_declared_already_is_not_changed() -> None:
    instance = instance_of(resource("a"))
    existing = member("host-a", "heat:id-a", attributes=instance.attributes)
    assert plan(instance, members=(existing,), declared_elsewhere=set()) == []


def test_an_agent_that_adopted_its_member_keeps_its_group_and_attributes() -> None:
    existing = member("host-a", "heat:id-a", adopted=True, group="other", attributes={"cores": 4})
    assert plan(instance_of(resource("a")), members=(existing,), declared_elsewhere=set()) == []


def test_a_declared_member_whose_group_has_changed_is_declared_again() -> None:
    existing = member("host-a", "heat:id-a", group="former")
    assert plan(instance_of(resource("a")), members=(existing,)) == [
        ("declare", "host-a", "heat:id-a", "scaled_out")
    ]


def test_an_agent_that_joined_first_becomes_the_declared_member() -> None:
    assert plan(instance_of(resource("a")), members=(member("host-a", None, adopted=True),)) == [
        ("declare", "host-a", "heat:id-a", "scaled_out")
    ]


def test_a_renamed_instance_departs_under_its_old_name() -> None:
    existing = member("former", "heat:id-a")
    assert plan(instance_of(resource("a")), members=(existing,)) == [
        ("depart", "former", "heat:id-a", "replaced"),
        ("declare", "host-a", "heat:id-a", "replaced"),
    ]


def test_the_name_of_another_instance_is_not_taken_over() -> None:
    changes, conflicts = plan_changes(
        [instance_of(resource("a"))], [member("host-a", "heat:other")]
    )
    assert changes == []
    assert [each.declared_id for each in conflicts] == ["heat:id-a"]


def test_the_first_of_two_instances_with_the_same_name_joins() -> None:
    pair = [instance_of(resource(name, own_name="twin")) for name in ("a", "b")]
    changes, conflicts = plan_changes(pair, [])
    assert [(change.verb, change.declared_id) for change in changes] == [("declare", "heat:id-a")]
    assert [each.declared_id for each in conflicts] == ["heat:id-b"]


def test_an_instance_without_a_usable_name_does_not_join() -> None:
    assert plan(instance_of(resource("a", own_name="сервер"))) == []


# Replacements


def test_a_replacement_and_the_replaced_instance_have_the_reason_replaced() -> None:
    new = instance_of(resource("a", id="new", own_name="host-new", replaces=True))
    old = instance_of(resource("a", state=("DELETE", "COMPLETE"), replaced=True))
    assert plan(new, old, members=(member("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "replaced"),
        ("declare", "host-new", "heat:new", "replaced"),
    ]


def test_an_instance_that_will_be_replaced_stays_until_it_is_deleted() -> None:
    old = instance_of(resource("a", state=("UPDATE", "COMPLETE"), replaced=True))
    existing = member("host-a", "heat:id-a", attributes=old.attributes)
    assert plan(old, members=(existing,), declared_elsewhere=set()) == []


def test_a_replacement_with_the_same_name_takes_the_name_over() -> None:
    new = instance_of(resource("a", id="new", replaces=True))
    old = instance_of(resource("a", state=("UPDATE", "COMPLETE"), replaced=True))
    existing = member("host-a", "heat:id-a", attributes=old.attributes)
    assert plan(new, old, members=(existing,)) == [
        ("depart", "host-a", "heat:id-a", "replaced"),
        ("declare", "host-a", "heat:new", "replaced"),
    ]


def test_a_failed_instance_that_is_replaced_departs_as_failed() -> None:
    old = instance_of(resource("a", state=("CREATE", "FAILED"), replaced=True))
    assert plan(old, members=(member("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "failed")
    ]


# The whole tree


def test_a_member_without_an_instance_departs_when_the_whole_tree_was_read() -> None:
    lost = member("host-b", "heat:id-b")
    assert plan(members=(lost,)) == []
    assert plan(members=(lost,), declared_elsewhere=set()) == [
        ("depart", "host-b", "heat:id-b", "scaled_in")
    ]


def test_it_is_replaced_by_another_resource_that_has_its_place() -> None:
    lost = member(
        "host-b", "heat:id-b", attributes={"resource_name": "a", "stack": "slurm-compute"}
    )
    assert plan(instance_of(resource("a")), members=(lost,), declared_elsewhere=set()) == [
        ("depart", "host-b", "heat:id-b", "replaced"),
        ("declare", "host-a", "heat:id-a", "replaced"),
    ]


def test_members_that_other_stacks_or_clients_declared_stay() -> None:
    others = (
        member("host-b", "heat:id-b"),
        member("host-c", "nova:17"),
        member("host-d", None, adopted=True),
    )
    assert plan(members=others, declared_elsewhere={"heat:id-b"}) == []


def test_departures_come_first_and_each_change_comes_once() -> None:
    instance = instance_of(resource("a", state=("DELETE", "COMPLETE")))
    changes, _ = plan_changes(
        [instance_of(resource("b")), instance],
        [member("host-a", "heat:id-a")],
        departed={"heat:id-a": "scaled_in"},
        declared_elsewhere=set(),
    )
    assert changes == [
        MemberChange("depart", "host-a", "heat:id-a", "scaled_in"),
        MemberChange("declare", "host-b", "heat:id-b", "scaled_out", instance_of(resource("b"))),
    ]


# One machine, one member


def test_an_agent_that_was_faster_than_heat_keeps_its_name() -> None:
    agent = member("any", None, adopted=True, attributes={"instance_id": "id-a"})
    unit = instance_of(resource("a"))
    assert plan(unit, members=(agent,)) == [("declare", "any", "heat:id-a", "scaled_out")]
    declared = member("any", "heat:id-a", adopted=True, attributes={"instance_id": "id-a"})
    assert plan(unit, members=(declared,), declared_elsewhere=set()) == []


def test_a_member_that_was_declared_by_an_earlier_release_keeps_its_name() -> None:
    unit = instance_of(resource("a", own_name="Prod.EU_1"))
    for name in ("prod", "prod-eu-1", "Prod.EU_1"):
        assert plan(unit, members=(member(name, "heat:id-a", adopted=True),)) == []


def test_the_second_of_two_hosts_with_the_same_first_label_has_its_whole_name() -> None:
    units = [instance_of(resource(each, own_name=f"prod.eu-{each}")) for each in "ab"]
    assert [change[:3] for change in plan(*units)] == [
        ("declare", "prod", "heat:id-a"),
        ("declare", "prod-eu-b", "heat:id-b"),
    ]
