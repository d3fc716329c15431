"""The rule that decides which resources of a Heat stack are members."""

from __future__ import annotations

import pytest

from factstore.heat.autoscaling.instances import (
    Resource,
    Stack,
    declared_id,
    instances,
    valid_name,
)
from tests.unit.heat.trees import group_of, instance_of, resource


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
def test_each_unit_of_a_group_is_a_member_whatever_its_type(kind: str) -> None:
    assert found(group_of(resource("a"), resource("b", "unit.yaml"), kind=kind)) == [
        ("host-a", "compute"),
        ("host-b", "compute"),
    ]


@pytest.mark.parametrize(
    "kind", ["OS::Nova::Server", "AWS::EC2::Instance", "OS::Heat::DeployedServer"]
)
def test_a_server_is_a_member_of_a_group_named_as_its_resource(kind: str) -> None:
    assert found(resource("head", kind)) == [("host-head", "head")]


def test_a_resource_whose_type_is_mapped_to_a_server_is_a_server() -> None:
    head = resource("head", types=("My::Server", "OS::Heat::DeployedServer"))
    assert found(head) == [("host-head", "head")]


def test_a_resource_that_is_neither_a_unit_nor_a_server_is_not_a_member() -> None:
    assert found(resource("password"), resource("up", "OS::Heat::ScalingPolicy"), group_of()) == []


def test_servers_inside_a_unit_are_parts_of_it() -> None:
    machine = Stack("slurm-compute-a", (resource("server", "OS::Nova::Server"),))
    assert found(group_of(resource("a", "unit.yaml", nested=machine))) == [("host-a", "compute")]


def test_a_group_inside_a_unit_is_a_part_of_it() -> None:
    rack = Stack("slurm-compute-a", (group_of(resource("disk")),))
    assert found(group_of(resource("a", "rack.yaml", nested=rack))) == [("host-a", "compute")]


def test_a_template_that_is_mapped_to_a_server_is_one_member_and_not_two() -> None:
    inner = Stack("slurm-head", (resource("server", "OS::Nova::Server"),))
    assert found(resource("head", "OS::Nova::Server", nested=inner)) == [("host-head", "head")]


def test_servers_and_groups_in_plain_nested_stacks_are_found() -> None:
    inner = Stack("slurm-part", (resource("head", "OS::Nova::Server"), group_of(resource("a"))))
    assert found(resource("part", "part.yaml", nested=inner)) == [
        ("host-head", "head"),
        ("host-a", "compute"),
    ]


def test_only_the_selected_groups_have_members() -> None:
    tree = (group_of(resource("a")), resource("head", "OS::Nova::Server"))
    assert found(*tree, groups=["compute"]) == [("host-a", "compute")]
    assert found(*tree, groups=["head"]) == [("host-head", "head")]
    assert found(*tree, groups=[]) == []


def test_the_attributes_of_a_member_name_its_resource_without_its_properties() -> None:
    instance = instance_of(resource("a", types=("unit.yaml", "unit.yaml")))
    assert instance.declared_id == "heat:id-a"
    assert instance.attributes == {
        "resource_type": "unit.yaml",
        "resource_name": "a",
        "stack": "slurm-compute",
    }


@pytest.mark.parametrize(
    ("name", "valid"),
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
def test_invalid_characters_of_names_are_replaced_as_in_host_names(
    name: str, valid: str | None
) -> None:
    assert valid_name(name) == valid


@pytest.mark.parametrize(
    ("own_name", "name"),
    [
        ("node-1", "node-1"),
        ("Node-2", "node-2"),
        ("my_cluster-3", "my-cluster-3"),
        ("My server", "my-server"),
        ("db.example.com", "db"),
        ("a" * 70, "a" * 63),
        ("a" * 62 + "-b", "a" * 62),
        ("node(1)!", "node1"),
        ("Überall", "berall"),
        ("сервер-1", "1"),
        ("@a", "a"),
        ("сервер", None),
    ],
)
def test_a_member_is_named_like_the_host_that_nova_makes(own_name: str, name: str | None) -> None:
    assert instance_of(resource("a", own_name=own_name)).name == name


def test_a_declared_id_is_printable_and_has_a_limited_length() -> None:
    assert declared_id("é\n") == "heat:--"
    assert len(declared_id("x" * 300)) == 255
