"""What is to be done so that the members are what the instances are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from factstore.heat.autoscaling.plan import Instance, Known, Step, steps
from tests.unit.heat.trees import only, resource


def known(name: str, declared: str | None, **others: Any) -> Known:
    given = {"group": "compute", "state": "joining", "adopted": False, **others}
    return Known(name=name, declared=declared, **given)


def do(
    *wanted: Instance,
    members: tuple[Known, ...] = (),
    gone: Mapping[str, str] | None = None,
    alive: set[str] | None = None,
) -> list[tuple[str, str, str, str]]:
    plan, _ = steps(wanted, members, gone=gone, alive=alive)
    return [(step.verb, step.name, step.word, step.reason) for step in plan]


# Whether it is in


@pytest.mark.parametrize(
    "action", ["CREATE", "UPDATE", "CHECK", "ADOPT", "SNAPSHOT", "ROLLBACK", "RESTORE"]
)
def test_a_complete_resource_joins(action: str) -> None:
    assert do(only(resource("a", state=(action, "COMPLETE")))) == [
        ("declare", "host-a", "heat:id-a", "scaled_out")
    ]


@pytest.mark.parametrize("action", ["CREATE", "UPDATE", "CHECK", "SUSPEND", "RESUME", "ADOPT"])
def test_what_is_in_progress_changes_nothing(action: str) -> None:
    instance = only(resource("a", state=(action, "IN_PROGRESS")))
    assert do(instance) == []
    assert do(instance, members=(known("host-a", "heat:id-a"),), alive=set()) == []


def test_a_resource_that_is_not_begun_does_not_join() -> None:
    assert do(only(resource("a", state=("INIT", "COMPLETE")))) == []


@pytest.mark.parametrize("action", ["CREATE", "UPDATE", "DELETE", "CHECK"])
def test_a_failed_resource_departs_as_failed(action: str) -> None:
    instance = only(resource("a", state=(action, "FAILED")))
    assert do(instance, members=(known("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "failed")
    ]
    assert do(instance) == []


def test_a_suspended_resource_departs_and_joins_again_when_resumed() -> None:
    suspended = only(resource("a", state=("SUSPEND", "COMPLETE")))
    assert do(suspended, members=(known("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "suspended")
    ]
    resumed = only(resource("a", state=("RESUME", "COMPLETE")))
    assert do(resumed) == [("declare", "host-a", "heat:id-a", "resumed")]


def test_an_instance_on_its_way_out_departs_at_once_if_no_agent_speaks_for_it() -> None:
    going = only(resource("a", state=("DELETE", "IN_PROGRESS")))
    assert do(going, members=(known("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "scaled_in")
    ]


def test_an_instance_on_its_way_out_drains_while_its_agent_runs_and_departs_when_it_is_gone() -> (
    None
):
    going = only(resource("a", state=("DELETE", "IN_PROGRESS")))
    member = known("host-a", "heat:id-a", adopted=True, state="ready")
    assert do(going, members=(member,)) == [("drain", "host-a", "heat:id-a", "scaled_in")]
    draining = known("host-a", "heat:id-a", adopted=True, state="draining")
    assert do(going, members=(draining,)) == []
    gone = only(resource("a", state=("DELETE", "COMPLETE")))
    assert do(gone, members=(draining,)) == [("depart", "host-a", "heat:id-a", "scaled_in")]


def test_a_resource_of_which_no_row_is_left_departs() -> None:
    assert do(members=(known("host-a", "heat:id-a"),), gone={"heat:id-a": "scaled_in"}) == [
        ("depart", "host-a", "heat:id-a", "scaled_in")
    ]
    assert do(gone={"heat:id-a": "scaled_in"}) == []


# Who it is


def test_a_member_that_is_declared_already_is_left_alone() -> None:
    instance = only(resource("a"))
    member = known("host-a", "heat:id-a", attributes=instance.attributes)
    assert do(instance, members=(member,), alive=set()) == []


def test_an_agent_that_adopted_its_member_keeps_what_it_says() -> None:
    member = known("host-a", "heat:id-a", adopted=True, group="other", attributes={"cores": 4})
    assert do(only(resource("a")), members=(member,), alive=set()) == []


def test_a_declared_member_that_is_something_else_by_now_is_declared_again() -> None:
    member = known("host-a", "heat:id-a", group="former")
    assert do(only(resource("a")), members=(member,)) == [
        ("declare", "host-a", "heat:id-a", "scaled_out")
    ]


def test_an_agent_that_was_first_becomes_the_declared_member() -> None:
    assert do(only(resource("a")), members=(known("host-a", None, adopted=True),)) == [
        ("declare", "host-a", "heat:id-a", "scaled_out")
    ]


def test_a_renamed_instance_departs_under_its_old_name() -> None:
    member = known("former", "heat:id-a")
    assert do(only(resource("a")), members=(member,)) == [
        ("depart", "former", "heat:id-a", "replaced"),
        ("declare", "host-a", "heat:id-a", "replaced"),
    ]


def test_a_name_that_is_another_instance_s_is_not_taken_from_it() -> None:
    plan, clashes = steps([only(resource("a"))], [known("host-a", "heat:other")])
    assert plan == []
    assert [clash.word for clash in clashes] == ["heat:id-a"]


def test_of_two_instances_of_one_name_the_first_joins() -> None:
    pair = [only(resource(name, known_as="twin")) for name in ("a", "b")]
    plan, clashes = steps(pair, [])
    assert [(step.verb, step.word) for step in plan] == [("declare", "heat:id-a")]
    assert [clash.word for clash in clashes] == ["heat:id-b"]


def test_an_instance_without_a_usable_name_does_not_join() -> None:
    assert do(only(resource("a", known_as="сервер"))) == []


# What takes whose place


def test_a_replacement_says_so_and_so_does_what_it_replaces() -> None:
    new = only(resource("a", id="new", known_as="host-new", replaces=True))
    old = only(resource("a", state=("DELETE", "COMPLETE"), replaced=True))
    assert do(new, old, members=(known("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "replaced"),
        ("declare", "host-new", "heat:new", "replaced"),
    ]


def test_what_is_to_be_replaced_stays_until_it_goes() -> None:
    old = only(resource("a", state=("UPDATE", "COMPLETE"), replaced=True))
    member = known("host-a", "heat:id-a", attributes=old.attributes)
    assert do(old, members=(member,), alive=set()) == []


def test_a_replacement_takes_over_the_name_that_its_server_was_given() -> None:
    new = only(resource("a", id="new", replaces=True))
    old = only(resource("a", state=("UPDATE", "COMPLETE"), replaced=True))
    member = known("host-a", "heat:id-a", attributes=old.attributes)
    assert do(new, old, members=(member,)) == [
        ("depart", "host-a", "heat:id-a", "replaced"),
        ("declare", "host-a", "heat:new", "replaced"),
    ]


def test_a_failed_instance_that_is_replaced_departs_as_failed() -> None:
    old = only(resource("a", state=("CREATE", "FAILED"), replaced=True))
    assert do(old, members=(known("host-a", "heat:id-a"),)) == [
        ("depart", "host-a", "heat:id-a", "failed")
    ]


# The whole tree


def test_a_member_of_whose_resource_nobody_knows_departs_when_all_was_looked_at() -> None:
    lost = known("host-b", "heat:id-b")
    assert do(members=(lost,)) == []
    assert do(members=(lost,), alive=set()) == [("depart", "host-b", "heat:id-b", "scaled_in")]


def test_it_was_replaced_if_another_resource_has_its_place() -> None:
    lost = known("host-b", "heat:id-b", attributes={"resource_name": "a", "stack": "slurm-compute"})
    assert ("depart", "host-b", "heat:id-b", "replaced") in do(
        only(resource("a")), members=(lost,), alive=set()
    )


def test_members_that_other_stacks_or_other_people_declared_stay() -> None:
    others = (
        known("host-b", "heat:id-b"),
        known("host-c", "nova:17"),
        known("host-d", None, adopted=True),
    )
    assert do(members=others, alive={"heat:id-b"}) == []


def test_departures_come_first_and_nothing_is_said_twice() -> None:
    instance = only(resource("a", state=("DELETE", "COMPLETE")))
    plan, _ = steps(
        [only(resource("b")), instance],
        [known("host-a", "heat:id-a")],
        gone={"heat:id-a": "scaled_in"},
        alive=set(),
    )
    assert plan == [
        Step("depart", "host-a", "heat:id-a", "scaled_in"),
        Step("declare", "host-b", "heat:id-b", "scaled_out", only(resource("b"))),
    ]
