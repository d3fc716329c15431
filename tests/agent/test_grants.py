"""Agents on grants: what they may, sealed facts that are for them, and the end of a grant."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from factstore.agent.connection import open_connection
from factstore.agent.renewal import Renewal
from factstore.agent.settings import read
from factstore.client import Stack, errors
from tests.agent.conftest import Make
from tests.agent.running import Instance
from tests.agent.test_agent import converged
from tests.eventually import eventually

KEY = "canary-of-a-key"
TEMPLATE = "[template key]\nsource = key.j2\ndestination = DIR/key\n"


class Granted:
    """Instances of a stack that have nothing but a grant."""

    def __init__(self, stack: Stack, make: Make) -> None:
        self._stack = stack
        self._make = make

    def instance(self, name: str, more: str = "", **options: object) -> Instance:
        made = self._make(name, more, group="compute", **options)
        self.grant(made)
        text = made.config.read_text()
        file = made.directory / "grant"
        made.config.write_text(text.replace("[service]\n", f"[service]\ngrant_file = {file}\n"))
        return made

    def grant(self, instance: Instance) -> str:
        """Give an instance a grant; its token."""
        issued = self._stack.issue_grant(role="agent", member=instance.name, group="compute")
        assert issued.token is not None
        instance.write("grant", f"{issued.token}\n").chmod(0o600)
        return issued.token


@pytest.fixture
def granted(stack: Stack, make: Make) -> Granted:
    stack.configure()
    return Granted(stack, make)


def test_an_agent_needs_no_more_than_a_grant(stack: Stack, granted: Granted) -> None:
    c1 = granted.instance("c1")
    c1.fact(cpus=4)
    c1.start()
    context = converged(stack, "c1")
    assert context.facts["nodes"]["c1"]["cpus"] == 4
    token = (c1.directory / "grant").read_text().strip()
    name, _, secret = token.rpartition(".")
    assert stack.get("nodes/c1/cpus").updated_by == f"grant:{name}"
    assert c1.call("put", "services/x", "started").returncode == 0
    others = [file for file in c1.directory.rglob("*") if file.is_file() and file.name != "grant"]
    assert not [file for file in others if secret in file.read_text()]


def test_a_sealed_fact_reaches_the_files_of_those_who_may_have_it_and_nothing_else(
    stack: Stack, granted: Granted
) -> None:
    stack.put("keys/repository", KEY, sensitive=True, readers=["member/c1"])
    c1, c2 = granted.instance("c1", TEMPLATE), granted.instance("c2", TEMPLATE)
    for each in (c1, c2):
        each.write("templates/key.j2", "{{ facts['keys'].repository }}\n")
        each.hook("20-show", "cat DIR/key DIR/state/context.json")
        each.start()
    converged(stack, "c1", "c2")
    assert (c1.directory / "key").read_text() == f"{KEY}\n"
    assert (c1.directory / "key").stat().st_mode & 0o777 == 0o600
    assert (c2.directory / "key").read_text() == "None\n"
    stack.put("keys/repository", f"new-{KEY}", sensitive=True, readers=["member/c1"])
    converged(stack, "c1", "c2")
    assert (c1.directory / "key").read_text() == f"new-{KEY}\n"
    files = [file for each in (c1, c2) for file in each.directory.rglob("*") if file.is_file()]
    assert [file for file in files if KEY in file.read_text()] == [c1.directory / "key"]
    assert "hook 20-show: ***" in c1.log


def test_an_agent_whose_grant_was_revoked_goes_on_with_another_as_the_same_member(
    stack: Stack, granted: Granted
) -> None:
    c1 = granted.instance("c1", ttl=15)
    c1.start()
    converged(stack, "c1")
    first = c1.kept("member")
    name = (c1.directory / "grant").read_text().strip().rpartition(".")[0]
    stack.grant(name).revoke()
    eventually(lambda: "being a member: " in c1.log, 30)
    assert c1.child.running
    granted.grant(c1)
    eventually(lambda: "there is another credential: begins anew with it" in c1.log, 30)
    stack.put("news", 1)
    converged(stack, "c1", within=60)
    assert c1.kept("member") == first


def test_a_grant_is_renewed_by_who_holds_it(stack: Stack, granted: Granted) -> None:
    c1 = granted.instance("c1")
    connection = open_connection(read(c1.config), {})
    assert connection.grant is not None
    before = stack.grant(connection.grant).show()
    renewal = Renewal(connection.stack.grant(connection.grant), time.time)
    assert before.ttl / 2 - 600 < renewal.attend() <= before.ttl / 2
    assert stack.grant(connection.grant).show().expires_at == before.expires_at
    later = Renewal(
        connection.stack.grant(connection.grant), lambda: time.time() + before.ttl / 2 + 1
    )
    later.attend()
    after = stack.grant(connection.grant).show()
    assert datetime.fromisoformat(after.expires_at) > datetime.fromisoformat(before.expires_at)


def test_a_grant_for_another_member_is_told_and_nothing_is_written(
    stack: Stack, granted: Granted
) -> None:
    c1 = granted.instance("c1")
    c2 = granted.instance("c2")
    (c2.directory / "grant").write_text((c1.directory / "grant").read_text())
    done = c2.call("run", "--once")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    with pytest.raises(errors.NotFound):
        stack.member("c2").show()
