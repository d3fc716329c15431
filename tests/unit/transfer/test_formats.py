"""An export that is imported again gives the same facts, as far as the format can contain them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factstore.client import Put
from factstore.transfer import formats
from factstore.transfer.document import Alarm, Contents, Waiter
from factstore.transfer.paths import nested
from factstore.transfer.sealing import KeyFile

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
SCALARS = st.one_of(TEXTS, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.just(1.5))
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.just({"a b": [None]}))
FOLDERS = st.sampled_from(["", "nodes/c1", "nodes/c2", "db", "a/b/c"])
NAMES = st.sampled_from(["x", "y", "z.1", "OpenStack::Role", "on"])
FACTS = st.dictionaries(
    st.builds(lambda folder, name: f"{folder}/{name}".lstrip("/"), FOLDERS, NAMES),
    VALUES,
    max_size=6,
)


def report(name: str, reason: str) -> None:
    raise AssertionError(f"{name} {reason}")


def contents(facts: dict[str, Any]) -> Contents:
    return Contents("s", tuple(Put(path, value) for path, value in facts.items()))


def context(facts: dict[str, Any]) -> dict[str, Any]:
    return {"stack": "s", "facts": nested(facts), "members": {}}


def back(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts after an export and an import."""
    found = formats.write(name, contents(facts), context(facts), omit=report)
    return {put.path: put.value for put in formats.read(name, found, omit=report).facts}


def same(one: Any, other: Any) -> bool:
    """Return whether values are equal to the service, to which 1 and true differ."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@settings(max_examples=60, deadline=None)
@given(FACTS)
def test_round_trips_keep_all_values(facts: dict[str, Any]) -> None:
    for name in ("json", "yaml", "facter", "consul-kv", "etcd"):
        assert same(back(name, facts), facts), name


@settings(max_examples=30, deadline=None)
@given(FACTS)
def test_data_bags_keep_all_values(facts: dict[str, Any]) -> None:
    found = formats.write("chef-data-bags", contents(facts), context(facts), omit=lambda *_: None)
    again = formats.read("chef-data-bags", found, omit=report).facts
    assert same(nested({put.path: put.value for put in again}), nested(facts))


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(["A", "B_1", "_C"]), TEXTS, max_size=3))
def test_variables_keep_texts(facts: dict[str, Any]) -> None:
    assert back("env", facts) == facts


def test_hosts_and_inventories_keep_addresses() -> None:
    facts = {"nodes/c1/ip": "10.0.0.1", "nodes/c2/ip": "10.0.0.2"}
    assert back("hosts", facts) == facts
    more = {**facts, "nodes/c1/port": 22, "ntp/server": "{{ x }}"}
    assert back("ansible-inventory", more) == more


def test_a_document_keeps_kinds_lifetimes_readers_waiters_and_alarms(tmp_path: Path) -> None:
    seal = KeyFile(tmp_path / "key", create=True)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    secret = Put("p", "geheim", sensitive=True, readers=("group/web",))
    before = Contents(
        "s",
        (Put("a", 1, kind="parameter"), Put("b", 2, ttl=60), secret),
        (Waiter("w", {"signals": 2}, None, 60),),
        alarms=(Alarm("l", {"facts": "a", "at_least": 1}, seconds=5, no_data="ok"),),
    )
    text = formats.write("json", before, {}, seal=seal, omit=report)
    assert isinstance(text, str)
    assert "geheim" not in text
    after = formats.read("json", text, seal=seal, omit=report)
    assert (after.waiters, after.alarms) == (before.waiters, before.alarms)
    assert [put.document() for put in after.facts] == [put.document() for put in before.facts]
    # Without the key, sensitive facts are neither written nor read.
    left: list[str] = []
    formats.read("json", text, omit=lambda name, _: left.append(name))
    assert left == ["p"]
    with pytest.raises(ValueError, match="another key"):
        formats.read("json", text, seal=KeyFile(tmp_path / "other", create=True), omit=report)


CONSUL = json.dumps(
    [
        {"key": "app/", "flags": 0, "value": ""},
        {"key": "app/port", "flags": 0, "value": base64.b64encode(b"80").decode()},
        {"key": "app/a b", "flags": 0, "value": ""},
        {"key": "app/binary", "flags": 0, "value": "/w=="},
    ]
)
INI = """\
# the site
[web]
c1 ansible_host=10.0.0.1 port=8080   # first
c2 ansible_host=10.0.0.2 name='a b'

[web:vars]
domain = example.org
[site:children]
web
"""
LIST = {
    "_meta": {"hostvars": {"c1": {"ansible_host": "10.0.0.1"}}},
    "all": {"children": ["web", "ungrouped"]},
    "web": {"hosts": ["c1"]},
}


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("consul-kv", CONSUL, {"app/port": "80"}),
        ("json", '{"a": {"b": 1, "c": null}}', {"a/b": 1}),
        ("yaml", "a: {b: 2013-10-01}\non: 1\n", {"a/b": "2013-10-01", "True": 1}),
        ("env", "# x\nexport A='1 # 2'\nB=\"x\ny\"\n", {"A": "1 # 2", "B": "x\ny"}),
        ("hosts", "127.0.0.1 localhost\n10.0.0.1 c1 c1.example # x\n", {"nodes/c1/ip": "10.0.0.1"}),
        (
            "ansible-inventory",
            INI,
            {
                "nodes/c1/ip": "10.0.0.1",
                "nodes/c1/port": 8080,
                "nodes/c2/ip": "10.0.0.2",
                "nodes/c2/name": "a b",
                "groups/web/vars/domain": "example.org",
                "groups/web/hosts": ["c1", "c2"],
            },
        ),
        (
            "ansible-inventory",
            json.dumps(LIST),
            {"nodes/c1/ip": "10.0.0.1", "groups/web/hosts": ["c1"]},
        ),
        (
            "chef-data-bags",
            {
                "users/ann.json": '{"id": "ann", "uid": 7, "shell": {"path": "/bin/sh"}}',
                "users/bob.json": '{"id": "bob", "p": {"encrypted_data": "x", "cipher": "c"}}',
            },
            {"users/ann/uid": 7, "users/ann/shell/path": "/bin/sh"},
        ),
        (
            "hiera",
            {
                "hiera.yaml": "version: 5",
                "common.yaml": "ntp::servers: [a]",
                "nodes/c1.yaml": "x: 1",
            },
            {"common/ntp::servers": ["a"], "nodes/c1/x": 1},
        ),
        ("etcd", '{"kvs": [{"key": "L2EvYg==", "value": "NQ=="}]}', {"a/b": 5}),
    ],
)
def test_files_of_other_software_are_imported(name: str, source: Any, expected: Any) -> None:
    found = formats.read(name, source, omit=lambda *_: None)
    assert {put.path: put.value for put in found.facts} == expected


@pytest.mark.parametrize("name", formats.IMPORTS)
def test_other_files_are_refused_without_a_traceback(name: str) -> None:
    for source in ("\x00", "[1", "'", "[" * 5000, {"a/b.json": "["}):
        try:
            formats.read(name, source, omit=lambda *_: None)
        except ValueError:
            continue
