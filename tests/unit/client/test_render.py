"""Contexts as files."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from factstore.client.render import FOLDERS, RENDERERS, render
from factstore.client.render.yaml import as_yaml

DOCUMENT: dict[str, Any] = {
    "stack": "slurm",
    "facts": {
        "cluster": {"size": 2, "motd": "it's\n$HOME `here`", "tags": ["a", "b"], "on": True},
        "nodes": {
            "c1": {"ip": "10.0.0.11", "cpus": 4},
            "head": {"ip": "10.0.0.5"},
            "v6": {"ip": "2001:DB8::1"},
            "evil": {"ip": "10.0.0.1 bank.test\n6.6.6.6"},
            "zone": {"ip": "fe80::1%eth0\n6.6.6.6 bank.test"},
            "no-ip": {},
            "not_a_name": {"ip": "10.0.0.9"},
            "odd": 7,
        },
    },
    "members": {
        "c1": {"group": "compute", "state": "ready", "attributes": {"rack": "r1"}},
        "c2": {"group": "compute", "state": "joining", "attributes": {}},
        "head": {"group": "head-1", "state": "ready", "attributes": {}},
    },
}
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda some: st.lists(some) | st.dictionaries(st.text(), some),
    max_leaves=20,
)


def document(facts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"stack": "s", "facts": facts, "members": {}, **more}


def text(name: str, of: dict[str, Any]) -> str:
    made = render(name, of)
    assert isinstance(made, str)
    return made


def test_raw_is_the_unchanged_document() -> None:
    assert json.loads(text("raw", DOCUMENT)) == DOCUMENT


@pytest.mark.parametrize("name", RENDERERS)
def test_equal_documents_are_rendered_equally_and_not_changed(name: str) -> None:
    turned = {key: DOCUMENT[key] for key in reversed(DOCUMENT)}
    turned["members"] = dict(reversed(DOCUMENT["members"].items()))
    kept = copy.deepcopy(turned)
    assert render(name, turned) == render(name, DOCUMENT)
    assert turned == kept


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("facts", [{}, {"nodes": 7}, {"nodes": {"c1": [], "c2": {"ip": None}}}])
def test_facts_of_any_shape_can_be_rendered(name: str, facts: dict[str, Any]) -> None:
    assert render(name, document(facts)) is not None


@pytest.mark.parametrize("name", RENDERERS)
def test_a_renderer_produces_a_text_or_a_folder(name: str) -> None:
    assert isinstance(render(name, DOCUMENT), str) == (name not in FOLDERS)


def test_an_unknown_renderer_is_refused_with_the_names_of_all_renderers() -> None:
    with pytest.raises(
        ValueError, match=r"'hots' does not exist\. Use one of raw, yaml, env, hosts, "
    ):
        render("hots", DOCUMENT)


# The hosts file


def test_hosts_lists_nodes_with_an_address_and_no_others() -> None:
    lines = text("hosts", DOCUMENT).splitlines()
    assert lines == ["10.0.0.11\tc1", "10.0.0.5\thead", "2001:db8::1\tv6"]


def test_a_stack_without_nodes_has_no_hosts() -> None:
    assert text("hosts", document({})) == ""


# Targets of Prometheus


def test_prometheus_gets_a_target_for_each_node_with_an_address() -> None:
    found = {
        group["labels"]["__meta_factstore_node"]: group
        for group in json.loads(text("prometheus-sd", DOCUMENT))
    }
    assert sorted(found) == ["c1", "head", "not_a_name", "v6"]
    assert found["v6"]["targets"] == ["[2001:db8::1]"]
    assert found["c1"] == {
        "targets": ["10.0.0.11"],
        "labels": {
            "__meta_factstore_stack": "slurm",
            "__meta_factstore_node": "c1",
            "__meta_factstore_group": "compute",
            "__meta_factstore_state": "ready",
        },
    }


# The shell


def test_env_contains_a_variable_for_each_fact() -> None:
    lines = text("env", DOCUMENT).splitlines()
    assert "NODES_C1_IP=10.0.0.11" in lines
    assert "CLUSTER_SIZE=2" in lines
    assert "CLUSTER_ON=true" in lines
    assert """CLUSTER_TAGS='["a", "b"]'""" in lines
    assert "NODES_NO_IP='{}'" in lines


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_shell_reads_the_values_unchanged_from_env(value: str) -> None:
    env = text("env", document({"1": {"a-b": value}}))
    script = f'{env}printf %s "$_1_A_B"'
    read = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    assert read.decode() == value


OMISSIONS: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("env", {"facts": {"a-b": 1, "a.b": 2, "A_B": 3, "c": 4}}, "C=4\n", ["A_B", "a-b", "a.b"]),
    (
        "env",
        {
            "facts": {"db": {"password": None, "port": None, "user": "x"}},
            "sensitive": {"db/password": "0123456789abcdef.1", "db/user": "0123456789abcdef.2"},
        },
        "DB_USER=x\n",
        ["db/password", "db/port"],
    ),
    (
        "hosts",
        {"facts": {"nodes": {"HEAD": {"ip": "10.0.0.6"}, "head": {"ip": "10.0.0.1"}}}},
        "10.0.0.1\thead\n",
        ["nodes/HEAD"],
    ),
    (
        "hosts",
        {"facts": {"nodes": {"Localhost.localdomain": {"ip": "10.0.0.6"}}}},
        "",
        ["nodes/Localhost.localdomain"],
    ),
    (
        "hosts",
        {"facts": {"nodes": {"a:1": {"ip": "::1"}, "b": {"ip": None}, "c": {"cpus": 1}}}},
        "",
        ["nodes/a:1", "nodes/b/ip"],
    ),
    (
        "hosts",
        {"facts": {"nodes": {"b": {"ip": None}}}, "sensitive": {"nodes/b/ip": "e.1"}},
        "",
        ["nodes/b/ip"],
    ),
]


@pytest.mark.parametrize(("name", "of", "expected", "names"), OMISSIONS)
def test_a_fact_that_a_format_cannot_represent_is_left_out_and_reported(
    name: str, of: dict[str, Any], expected: str, names: list[str]
) -> None:
    omitted: dict[str, str] = {}
    assert render(name, {**document({}), **of}, omitted.__setitem__) == expected
    assert sorted(omitted) == names


def test_groups_that_ansible_would_merge_are_left_out_and_reported() -> None:
    facts = {"nodes": {"db1": {"ip": None}, "db2": {"ip": "10.0.0.1"}, "db3": {"cpus": 1}}}
    groups = {
        "db1": "web-db",
        "db2": "web_db",
        "db3": "x.y",
        "db4": "x-y",
        "db:5": "g",
        "head": "head",
    }
    members = {name: {"group": group} for name, group in groups.items()}
    omitted: dict[str, str] = {}
    made = render("ansible", document(facts, members=members), omitted.__setitem__)
    assert omitted.pop("nodes/db1/ip") == "is not an address"
    assert sorted(omitted) == ["group web-db", "group x-y", "group x.y", "host db:5"]
    assert isinstance(made, str)
    inventory = yaml.safe_load(made.replace("!unsafe", ""))["all"]
    assert inventory["children"] == {"web_db": {"hosts": {"db2": {}}}}
    assert sorted(inventory["hosts"]) == ["db1", "db2", "db3", "db4", "head"]


# YAML


@given(st.dictionaries(st.text(max_size=9), ANYTHING, max_size=3))
def test_yaml_preserves_values_and_types(value: dict[str, Any]) -> None:
    made = as_yaml(value)
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        read = yaml.load(made, loader)
        assert json.dumps(read, sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize(
    "value", ["x" * 5000, "\x7f\x85\u2028\ufeff\U0001f600\U0010ffff", "<<", "no", "1e3", "# &a *b"]
)
def test_yaml_preserves_awkward_names_and_values(value: str) -> None:
    assert yaml.safe_load(as_yaml({value: [value, {value: 1e16}]})) == {
        value: [value, {value: 1e16}]
    }


def test_yaml_contains_the_whole_document() -> None:
    assert yaml.safe_load(text("yaml", DOCUMENT)) == DOCUMENT


# Facter


def test_facter_receives_a_single_fact_that_hides_no_other() -> None:
    made = json.loads(text("facter", document({"os": {"family": "evil"}})))
    assert list(made) == ["factstore"]
    assert made["factstore"]["facts"] == {"os": {"family": "evil"}}


# Ansible


class Loader(yaml.SafeLoader):
    """Loads a value marked ``!unsafe`` as a pair of the mark and the value."""


def unsafe(loader: Loader, node: yaml.Node) -> Any:
    assert isinstance(node, yaml.MappingNode)
    return "unsafe", loader.construct_mapping(node, deep=True)


Loader.add_constructor("!unsafe", unsafe)


def inventory(of: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = yaml.load(text("ansible", of), Loader)["all"]
    return made


def test_hosts_of_an_inventory_are_members_and_nodes_with_an_address() -> None:
    made = inventory(DOCUMENT)
    assert set(made["hosts"]) == {"c1", "c2", "head", "v6", "not_a_name"}
    assert made["hosts"]["c1"]["ansible_host"] == "10.0.0.11"
    assert "ansible_host" not in made["hosts"]["c2"]
    assert made["children"] == {
        "compute": {"hosts": {"c1": {}, "c2": {}}},
        "head_1": {"hosts": {"head": {}}},
    }


def test_values_of_facts_and_members_are_marked_unsafe_below_reserved_names() -> None:
    made = inventory(DOCUMENT)
    facts = {name: fact for name, fact in DOCUMENT["facts"].items() if name != "nodes"}
    assert made["vars"] == {"factstore_stack": ("unsafe", {"name": "slurm", "facts": facts})}
    for name, variables in made["hosts"].items():
        assert set(variables) <= {"ansible_host", "factstore"}
        known = DOCUMENT["members"].get(name, {})
        about = DOCUMENT["facts"]["nodes"].get(name, {})
        assert variables["factstore"] == ("unsafe", {**known, "facts": about})


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "c1:22", "c1@x", "-c", "a.", "a b"])
def test_a_host_that_ansible_would_mistake_for_another_is_omitted(name: str) -> None:
    members = {name: {"group": "g", "state": "ready", "attributes": {}}}
    made = inventory(document({"nodes": {name: {"ip": "10.0.0.1"}}}, members=members))
    assert made["hosts"] == made["children"] == {}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::", "fe80::1%a"])
def test_no_address_makes_ansible_connect_to_its_own_machine(address: str) -> None:
    members = {"c1": {"group": "g", "state": "ready", "attributes": {}}}
    facts = {"nodes": {"c1": {"ip": address}, "c2": {"ip": address}}}
    (host,) = inventory(document(facts, members=members))["hosts"].items()
    assert host[0] == "c1"
    assert set(host[1]) == {"factstore"}


@pytest.mark.parametrize(
    ("group", "name"), [("web.db", "web_db"), ("7up", "_7up"), ("all", None), ("ungrouped", None)]
)
def test_an_invalid_group_name_is_converted_and_a_reserved_one_is_omitted(
    group: str, name: str | None
) -> None:
    members = {"c1": {"group": group, "state": "ready", "attributes": {}}}
    made = inventory(document({}, members=members))
    assert list(made["children"]) == ([] if name is None else [name])
    assert list(made["hosts"]) == ["c1"]


# Chef


def items(of: dict[str, Any]) -> dict[str, Any]:
    made = render("data-bags", of)
    assert not isinstance(made, str)
    return {path: json.loads(item) for path, item in made.items()}


def test_a_folder_of_facts_is_a_data_bag_with_an_item_for_each_name_in_it() -> None:
    made = items(DOCUMENT)
    assert made["nodes/c1.json"] == {"id": "c1", "ip": "10.0.0.11", "cpus": 4}
    assert made["nodes/odd.json"] == {"id": "odd", "value": 7}
    assert made["nodes/no-ip.json"] == {"id": "no-ip"}
    assert made["cluster/tags.json"] == {"id": "tags", "value": ["a", "b"]}
    assert len(made) == 4 + 8 + 1


def test_one_item_contains_the_rest_of_the_context() -> None:
    of = document({"motd": "hi", "nodes": {}})
    assert items(of) == {"factstore/context.json": {"id": "context", **of}}


def test_the_id_of_an_item_is_its_name_even_if_a_fact_is_named_id() -> None:
    assert items(document({"users": {"ann": {"id": 7, "uid": 7}}}))["users/ann.json"] == {
        "id": "ann",
        "uid": 7,
    }


def test_every_item_is_valid_in_chef() -> None:
    name = re.compile(r"[.\-A-Za-z0-9_]+")
    for path, item in items(DOCUMENT).items():
        bag, _, file = path.partition("/")
        assert name.fullmatch(bag)
        assert not re.fullmatch("node|role|environment|client", bag)
        assert file == f"{item['id']}.json"
        assert name.fullmatch(item["id"])


@pytest.mark.parametrize(
    ("bag", "item"),
    [("node", "a"), ("a:b", "a"), ("a", "b@c"), ("..", "a"), ("a", ".."), ("a", "../b"), ("a", "")],
)
def test_a_name_that_chef_does_not_allow_is_left_out_and_reported(bag: str, item: str) -> None:
    omitted: dict[str, str] = {}
    made = render("data-bags", document({bag: {item: 1}, "b": {"c": 1}}), omitted.__setitem__)
    assert set(made) == {"b/c.json", "factstore/context.json"}
    assert set(omitted) <= {bag, f"{bag}/{item}"}
    assert len(omitted) == 1


def test_facts_cannot_replace_the_item_of_the_context() -> None:
    made = items(document({"factstore": {"context": 1}}))
    assert made["factstore/context.json"]["facts"] == {"factstore": {"context": 1}}
