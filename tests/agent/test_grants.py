"""Agents with grants: permissions, sensitive facts, renewal and revocation."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from factstore.agent.config.settings import load_settings
from factstore.agent.session.connection import open_connection
from factstore.agent.session.grant_renewal import GrantRenewal
from factstore.client import Stack, errors
from factstore.cmd.processes.ports import free_port
from tests.agent.conftest import Make
from tests.agent.instance import Instance
from tests.agent.test_agent import converged
from tests.eventually import eventually
from tests.service import ApiServer

KEY = "canary-of-a-key"
TEMPLATE = "[template key]\nsource = key.j2\ndestination = DIR/key\n"


class Granted:
    """Instances of a stack that have only a grant."""

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
        """Give an instance a grant; return its token."""
        issued = self._stack.issue_grant(role="agent", member=instance.name, group="compute")
        assert issued.token is not None
        instance.write("grant", f"{issued.token}\n").chmod(0o600)
        return issued.token


def files_with(text: str, *instances: Instance) -> list[Path]:
    """Return the files of instances that contain a text."""
    found = []
    for each in instances:
        for file in each.directory.rglob("*"):
            # A running agent replaces files by temporary ones.
            with suppress(FileNotFoundError):
                if file.is_file() and text in file.read_text():
                    found.append(file)
    return found


@pytest.fixture
def granted(stack: Stack, make: Make) -> Granted:
    stack.configure()
    return Granted(stack, make)


def test_an_agent_needs_only_a_grant(stack: Stack, granted: Granted) -> None:
    c1 = granted.instance("c1")
    c1.fact(cpus=4)
    c1.start()
    context = converged(stack, "c1")
    assert context.facts["nodes"]["c1"]["cpus"] == 4
    token = (c1.directory / "grant").read_text().strip()
    name, _, secret = token.rpartition(".")
    assert stack.get("nodes/c1/cpus").updated_by == f"grant:{name}"
    assert c1.call("put", "services/x", "started").returncode == 0
    # A number of a timer: it expires by itself, so an agent that joins again has nothing to repeat.
    assert c1.call("put", "--ttl", "60", "--json", "--result", "load", "0.9").returncode == 0
    load = stack.get("results/c1/load")
    assert (load.value, load.ttl, load.member) == (0.9, 60, None)
    assert [file.name for file in files_with(secret, c1)] == ["grant"]


def test_a_sensitive_fact_reaches_only_the_files_of_its_readers(
    stack: Stack, granted: Granted
) -> None:
    stack.put("keys/repository", KEY, sensitive=True, readers=["member/c1"])
    c1, c2 = granted.instance("c1", TEMPLATE), granted.instance("c2", TEMPLATE)
    for each in (c1, c2):
        each.write("templates/key.j2", "{{ facts['keys'].repository | default('no key') }}\n")
        each.hook("20-show", "cat DIR/key DIR/state/context.json")
        each.start()
    converged(stack, "c1", "c2")
    assert (c1.directory / "key").read_text() == f"{KEY}\n"
    assert (c1.directory / "key").stat().st_mode & 0o777 == 0o600
    assert (c2.directory / "key").read_text() == "no key\n"
    stack.put("keys/repository", f"new-{KEY}", sensitive=True, readers=["member/c1"])
    converged(stack, "c1", "c2")
    assert (c1.directory / "key").read_text() == f"new-{KEY}\n"
    assert files_with(KEY, c1, c2) == [c1.directory / "key"]
    assert "hook 20-show: ***" in c1.log


def test_an_agent_continues_as_the_same_member_with_another_grant(
    stack: Stack, granted: Granted
) -> None:
    c1 = granted.instance("c1", ttl=15)
    c1.start()
    converged(stack, "c1")
    first = c1.kept("member")
    name = (c1.directory / "grant").read_text().strip().rpartition(".")[0]
    stack.grant(name).revoke()
    eventually(lambda: "heartbeat failed: " in c1.log)
    assert c1.child.running
    granted.grant(c1)
    eventually(lambda: "reloading, because the credential has changed" in c1.log)
    stack.put("news", 1)
    converged(stack, "c1")
    assert c1.kept("member") == first


def test_a_grant_can_renew_itself(stack: Stack, granted: Granted) -> None:
    c1 = granted.instance("c1")
    connection = open_connection(load_settings(c1.config), {})
    assert connection.enrolment is not None
    grant_id = connection.enrolment.grant_id
    before = stack.grant(grant_id).show()
    passed = 0.0
    renewal = GrantRenewal(connection.stack.grant(grant_id), lambda: time.monotonic() + passed)
    assert before.ttl / 2 - 600 < renewal.renew_if_due() <= before.ttl / 2
    assert stack.grant(grant_id).show().expires_at == before.expires_at
    passed = before.ttl / 2 + 1
    renewal.renew_if_due()
    after = stack.grant(grant_id).show()
    assert datetime.fromisoformat(after.expires_at) > datetime.fromisoformat(before.expires_at)


def test_a_grant_for_another_member_writes_nothing(stack: Stack, granted: Granted) -> None:
    c1 = granted.instance("c1")
    c2 = granted.instance("c2")
    (c2.directory / "grant").write_text((c1.directory / "grant").read_text())
    done = c2.call("run", "--once")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    with pytest.raises(errors.NotFound):
        stack.member("c2").show()


# Instances of a group, which have only its grant


class Group:
    """Instances that were given the grant of the group compute.

    :ivar token: that grant.
    """

    def __init__(self, stack: Stack, make: Make) -> None:
        self._make = make
        issued = stack.issue_grant(group="compute")
        self.id, self.token = issued.id, str(issued.token)

    def instance(self, name: str, **options: object) -> Instance:
        made = self._make(name, **{"group": "compute", **options})
        give(made, self.token)
        text = made.config.read_text()
        file = made.directory / "grant"
        made.config.write_text(text.replace("[service]\n", f"[service]\ngrant_file = {file}\n"))
        return made


def give(instance: Instance, token: str) -> None:
    instance.write("grant", f"{token}\n").chmod(0o600)


@pytest.fixture
def group(stack: Stack, make: Make) -> Group:
    stack.configure()
    return Group(stack, make)


def own(instance: Instance) -> tuple[str, str]:
    """Id and secret of the grant that an instance has got."""
    name, _, secret = instance.kept("grant")["token"].partition(".")
    return name, secret


def test_instances_of_a_group_boot_with_its_grant_and_obtain_their_own(
    stack: Stack, group: Group
) -> None:
    c1, c2 = group.instance("c1"), group.instance("c2")
    for each in (c1, c2):
        each.fact(cpus=4)
        each.start()
    context = converged(stack, "c1", "c2")
    assert context.facts["nodes"]["c1"]["cpus"] == context.facts["nodes"]["c2"]["cpus"] == 4
    for each in (c1, c2):
        name, secret = own(each)
        assert stack.get(f"nodes/{each.name}/cpus").updated_by == f"grant:{name}"
        record = stack.grant(name).show()
        assert (record.member, record.group) == (each.name, "compute")
        assert record.created_by == f"grant:{group.id}"
        assert each.call("put", "services/x", "started").returncode == 0
        assert stack.get(f"nodes/{each.name}/services/x").updated_by == f"grant:{name}"
        assert each.call("ready").returncode == 0
        file = each.directory / "state" / "grant.json"
        assert file.stat().st_mode & 0o777 == 0o600
        assert files_with(secret, each) == [file]
        shared = group.token.partition(".")[2]
        assert [one.name for one in files_with(shared, each)] == ["grant"]
    assert own(c1) != own(c2)


def test_a_restarted_agent_uses_its_stored_grant(
    stack: Stack, group: Group, api: ApiServer
) -> None:
    c1 = group.instance("c1")
    c1.start()
    converged(stack, "c1")
    first, runs = own(c1), len(c1.runs)
    c1.kill()
    text = c1.config.read_text()
    nowhere = f"http://127.0.0.1:{free_port()}"
    c1.config.write_text(text.replace(api.url, nowhere))
    c1.start()
    eventually(lambda: "continuing with the stored context" in c1.log)
    eventually(lambda: len(c1.runs) > runs or c1.nodes == ["c1"])
    c1.kill()
    c1.config.write_text(text)
    c1.start()
    stack.put("news", 1)
    converged(stack, "c1")
    assert own(c1) == first
    assert c1.log.count("enrolled as member") == 1


def test_an_agent_whose_own_grant_was_revoked_enrols_again_as_the_same_member(
    stack: Stack, group: Group
) -> None:
    c1 = group.instance("c1", ttl=15)
    c1.start()
    converged(stack, "c1")
    generation, former = c1.kept("member"), own(c1)
    stack.grant(former[0]).revoke()
    eventually(lambda: c1.log.count("enrolled as member") == 2)
    stack.put("news", 1)
    converged(stack, "c1")
    assert c1.kept("member") == generation
    assert own(c1) != former
    for secret in (former[1], own(c1)[1], group.token.partition(".")[2]):
        assert secret not in c1.log


def test_agents_wait_for_another_grant_when_their_groups_is_revoked(
    stack: Stack, group: Group, make: Make
) -> None:
    c1, c2 = group.instance("c1", ttl=15), group.instance("c2", ttl=15)
    for each in (c1, c2):
        each.start()
    converged(stack, "c1", "c2")
    stack.grant(group.id).revoke()
    for each in (c1, c2):
        eventually(lambda each=each: "heartbeat failed: " in each.log)  # type: ignore[misc]
        assert each.child.running
    eventually(lambda: not list(stack.members()), 60)
    assert list(stack.grants()) == []
    another = Group(stack, make)
    for each in (c1, c2):
        give(each, another.token)
        eventually(
            lambda each=each: "reloading, because the credential has changed" in each.log,  # type: ignore[misc]
            60,
        )
    stack.put("news", 1)
    converged(stack, "c1", "c2")


def test_a_name_in_another_group_is_refused_with_the_reason(stack: Stack, group: Group) -> None:
    stack.member("h1").join("head", ttl=600)
    impostor = group.instance("h1")
    impostor.start()
    expected = (
        "heartbeat failed: Member 'h1' is in group 'head'; this grant is for group 'compute'."
    )
    eventually(lambda: expected in impostor.log)
    assert impostor.child.running
    assert stack.member("h1").show().group == "head"
    assert impostor.kept("grant") is None
    done = impostor.call("put", "x", "y")
    assert done.returncode == 0  # the agent sends it when it has joined
    with pytest.raises(errors.NotFound):
        stack.get("nodes/h1/x")


def test_a_second_single_run_uses_the_stored_grant(stack: Stack, group: Group) -> None:
    c1 = group.instance("c1", ttl=600)
    for _ in range(2):
        done = c1.call("run", "--once")
        assert done.returncode == 0, done.stderr
    assert "enrolled" not in done.stderr
    first = own(c1)
    stack.grant(first[0]).revoke()
    done = c1.call("run", "--once")
    assert done.returncode == 0, done.stderr
    assert own(c1) != first
    assert own(c1)[1] not in done.stderr


def test_a_check_of_the_service_explains_a_grant_that_is_refused(
    stack: Stack, granted: Granted
) -> None:
    c1 = granted.instance("c1")
    for name in ("facts.d", "hooks.d"):
        (c1.directory / name).mkdir(exist_ok=True)

    def check() -> tuple[int, str]:
        done = c1.call("check", "--service")
        return done.returncode, done.stderr

    assert check() == (0, "")
    token = (c1.directory / "grant").read_text().strip()
    name, _, secret = token.rpartition(".")
    granted_to_c2 = granted.instance("c2").directory / "grant"
    c1.write("grant", granted_to_c2.read_text()).chmod(0o600)
    status, text = check()
    assert (status, "[agent] member: the grant" in text, "is for c2" in text) == (2, True, True)
    c1.write("grant", f"{name}.{secret[:-1]}").chmod(0o600)
    assert "refused the grant" in check()[1]
    c1.write("grant", token).chmod(0o600)
    config = c1.config.read_text()
    c1.config.write_text(config.replace(f"stack = {stack.name}", "stack = another"))
    assert f"refused the grant {name} for the stack another" in check()[1]
    c1.config.write_text(config)
    stack.grant(name).revoke()
    status, text = check()
    assert (status, f"refused the grant {name}" in text, secret in text) == (2, True, False)
