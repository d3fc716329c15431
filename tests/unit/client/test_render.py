"""Contexts as files."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.client.render import RENDERERS

DOCUMENT = {
    "stack": "slurm",
    "facts": {
        "cluster": {"size": 2, "motd": "it's\n$HOME `here`", "tags": ["a", "b"], "on": True},
        "nodes": {
            "c1": {"ip": "10.0.0.11", "cpus": 4},
            "head": {"ip": "10.0.0.5"},
            "v6": {"ip": "2001:DB8::1"},
            "evil": {"ip": "10.0.0.1 bank.test\n6.6.6.6"},
            "no-ip": {},
            "not_a_name": {"ip": "10.0.0.9"},
            "odd": 7,
        },
    },
    "members": {},
}


def test_raw_is_the_document_itself() -> None:
    assert json.loads(RENDERERS["raw"](DOCUMENT)) == DOCUMENT


def test_hosts_lists_nodes_with_an_address_and_no_others() -> None:
    lines = RENDERERS["hosts"](DOCUMENT).splitlines()
    assert lines == ["10.0.0.11\tc1", "10.0.0.5\thead", "2001:db8::1\tv6"]


def test_a_stack_without_nodes_has_no_hosts() -> None:
    assert RENDERERS["hosts"]({"stack": "s", "facts": {}, "members": {}}) == ""


def test_env_gives_a_variable_for_each_fact() -> None:
    lines = RENDERERS["env"](DOCUMENT).splitlines()
    assert "NODES_C1_IP=10.0.0.11" in lines
    assert "CLUSTER_SIZE=2" in lines
    assert "CLUSTER_ON=true" in lines
    assert """CLUSTER_TAGS='["a", "b"]'""" in lines
    assert "NODES_NO_IP='{}'" in lines


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_shell_reads_env_as_it_was_meant(text: str) -> None:
    env = RENDERERS["env"]({"stack": "s", "facts": {"1": {"a-b": text}}, "members": {}})
    script = f'{env}printf %s "$_1_A_B"'
    read = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    assert read.decode() == text


def test_two_facts_never_share_a_variable() -> None:
    facts = {"a-b": 1, "a.b": 2}
    with pytest.raises(ValueError, match=r"a-b and a\.b would both become A_B"):
        RENDERERS["env"]({"stack": "s", "facts": facts, "members": {}})
