"""The rule of what in a Heat stack is a member."""

from __future__ import annotations

import pytest

from factstore.heat.autoscaling.plan import Resource, Stack, fitting, instances, word
from tests.unit.heat.trees import grouped, only, resource


def found(*resources: Resource, groups: list[str] | None = None) -> list[tuple[str | None, str]]:
    tree = Stack("slurm", resources)
    return [(instance.name, instance.group) for instance in instances(tree, groups)]


@pytest.mark.parametrize(
    "kind",
    [
        "OS::Heat::AutoScalingGroup",
        "OS::Heat::ResourceGroup",
        "OS::Heat::InstanceGroup",
        "AWS::AutoScaling::AutoScalingGroup",
    ],
)
def test_each_unit_of_a_group_is_a_member_whatever_it_is_made_of(kind: str) -> None:
    assert found(grouped(resource("a"), resource("b", "unit.yaml"), kind=kind)) == [
        ("host-a", "compute"),
        ("host-b", "compute"),
    ]


@pytest.mark.parametrize(
    "kind", ["OS::Nova::Server", "AWS::EC2::Instance", "OS::Heat::DeployedServer"]
)
def test_a_server_is_a_member_of_a_group_named_as_its_resource(kind: str) -> None:
    assert found(resource("head", kind)) == [("host-head", "head")]


def test_a_server_by_what_its_type_stands_for_is_one() -> None:
    head = resource("head", types=("My::Server", "OS::Heat::DeployedServer"))
    assert found(head) == [("host-head", "head")]


def test_what_is_neither_unit_nor_server_is_no_member() -> None:
    assert found(resource("password"), resource("up", "OS::Heat::ScalingPolicy"), grouped()) == []


def test_servers_below_a_unit_are_parts_of_it() -> None:
    machine = Stack("slurm-compute-a", (resource("server", "OS::Nova::Server"),))
    assert found(grouped(resource("a", "unit.yaml", nested=machine))) == [("host-a", "compute")]


def test_a_group_below_a_unit_is_a_part_of_it() -> None:
    rack = Stack("slurm-compute-a", (grouped(resource("disk")),))
    assert found(grouped(resource("a", "rack.yaml", nested=rack))) == [("host-a", "compute")]


def test_a_template_that_stands_for_a_server_is_one_member_and_not_two() -> None:
    inner = Stack("slurm-head", (resource("server", "OS::Nova::Server"),))
    assert found(resource("head", "OS::Nova::Server", nested=inner)) == [("host-head", "head")]


def test_servers_and_groups_in_plain_nested_stacks_are_found() -> None:
    inner = Stack("slurm-part", (resource("head", "OS::Nova::Server"), grouped(resource("a"))))
    assert found(resource("part", "part.yaml", nested=inner)) == [
        ("host-head", "head"),
        ("host-a", "compute"),
    ]


def test_only_the_groups_that_are_asked_for_have_members() -> None:
    tree = (grouped(resource("a")), resource("head", "OS::Nova::Server"))
    assert found(*tree, groups=["compute"]) == [("host-a", "compute")]
    assert found(*tree, groups=["head"]) == [("host-head", "head")]
    assert found(*tree, groups=[]) == []


def test_a_member_tells_of_its_resource_what_is_no_secret() -> None:
    instance = only(resource("a", types=("unit.yaml", "unit.yaml")))
    assert instance.word == "heat:id-a"
    assert instance.attributes == {
        "resource_type": "unit.yaml",
        "resource_name": "a",
        "stack": "slurm-compute",
    }


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("c1", "c1"),
        ("My server", "My-server"),
        ("knöpfe/1", "kn-pfe-1"),
        ("-.c1", "c1"),
        ("_c@1:x.y-", "_c@1:x.y-"),
        ("x" * 200, "x" * 128),
        ("сервер", None),
        ("", None),
    ],
)
def test_names_that_members_cannot_have_are_made_to_fit_as_host_names_are(
    name: str, fits: str | None
) -> None:
    assert fitting(name) == fits


def test_a_word_is_printable_and_not_too_long() -> None:
    assert word("é\n") == "heat:--"
    assert len(word("x" * 300)) == 255
