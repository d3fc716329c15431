"""``OS::FactStore::Waiter``: a stack waits for a condition, or fails with a reason."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
import requests
from heatclient.exc import HTTPBadRequest
from keystoneauth1.session import Session

from factstore.client import Client, Stack, errors
from factstore.client.waiter import WaiterRecord
from factstore.cmd.processes.keystone import KeystoneServer
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.templates import attributes, inside, shell, template
from tests.service import ApiServer

LEAVES_STACKS = True  # see conftest.py

STARTED = {"facts": "nodes/*/services/slurmd", "equals": "started", "count": 2}
BROKEN = {"facts": "results/*/failure", "present": True}
SHOWN = ("data", "state", "missing", "signal_url", "curl_cli")
SUCCESS, FAILURE = '{"status": "SUCCESS"}', '{"status": "FAILURE", "reason": "no disk"}'


def waiting(**properties: Any) -> dict[str, Any]:
    """Return a template with a waiter named ``ready`` and outputs for its attributes."""
    waiter = inside("Waiter", **{"name": "ready", **properties})
    return template({"ready": waiter}, attributes("ready", *SHOWN))


@pytest.fixture
def bag(facts: Client, name: str) -> Stack:
    return facts.stack(name)


def armed(bag: Stack, name: str = "ready") -> WaiterRecord:
    """Wait until a waiter is pending, and return it."""

    def look() -> WaiterRecord | None:
        try:
            record = bag.waiter(name).show()
        except errors.NotFound:
            return None
        return record if record.state == "pending" else None

    found = eventually(look)
    assert found is not None
    return found


def begun(owner: Orchestration, stack: str) -> None:
    """Wait until Heat has armed the waiter and polls it."""
    eventually(lambda: owner.resource(stack, "ready").physical_resource_id == "ready")


def start(bag: Stack, *nodes: str) -> None:
    for node in nodes:
        bag.put(f"nodes/{node}/services/slurmd", "started")


def status(owner: Orchestration, stack: str) -> str:
    found: str = owner.show(stack).stack_status
    return found


def test_a_stack_is_complete_when_the_condition_is_met(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, waiting(success=STARTED, failure=BROKEN), expect="")
    record = armed(bag)
    assert (record.success, record.failure) == (STARTED, {**BROKEN, "count": 1})
    assert record.timeout == 1800
    assert owner.output(stack, "missing") == ["nodes/*/services/slurmd"]
    assert owner.output(stack, "state") == "pending"
    start(bag, "c1")
    assert status(owner, stack) == "CREATE_IN_PROGRESS"
    start(bag, "c2")
    owner.wait(stack, "CREATE_COMPLETE")
    assert (owner.output(stack, "state"), owner.output(stack, "missing")) == ("met", [])
    assert owner.resource(stack, "ready").physical_resource_id == "ready"
    assert owner.output(stack, "curl_cli") is None  # it waits for no signals
    assert list(bag.grants()) == []
    owner.update(stack, template({}))
    assert list(bag.waiters()) == []


def test_signals_complete_it_like_a_wait_condition(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, waiting(count=2), expect="")
    armed(bag)
    command = eventually(lambda: owner.output(stack, "curl_cli"))
    data = '{"status": "SUCCESS", "id": "c1", "data": {"disks": 2}}'
    for _ in range(2):  # each id counts once
        done = shell(command, "--data-binary", data)
        assert done.returncode == 0, done.stderr
    assert bag.waiter("ready").show().satisfied == 1
    assert shell(command, "--data-binary", SUCCESS).returncode == 0
    owner.wait(stack, "CREATE_COMPLETE")
    data = owner.output(stack, "data")
    assert data.pop("c1") == {"disks": 2}
    assert list(data.values()) == [None]
    owner.update(stack, template({}))
    assert list(bag.grants()) == []
    assert "401" in shell(command, "--data-binary", SUCCESS).stderr


def test_the_credential_of_the_signal_command_may_do_little_else_and_is_not_logged(
    owner: Orchestration, heat: HeatServer, bag: Stack, name: str
) -> None:
    stack = owner.create(name, waiting(success={"any": [STARTED, {"signals": 1}]}), expect="")
    armed(bag)
    command = eventually(lambda: owner.output(stack, "curl_cli"))
    url = f"{owner.output(stack, 'signal_url')}".removesuffix("/waiters/ready/signal")
    user, _, secret = command.split("-u ")[1].split()[0].partition(":")
    grant = requests.Session()
    grant.auth = (user, secret)
    (issued,) = bag.grants()
    assert (issued.member, issued.group) == ("waiter:ready", "waiters")
    for path in ("nodes/c1/services/slurmd", "slurm/version"):
        assert grant.put(f"{url}/facts/{path}", json={"value": 1}, timeout=60).status_code == 403
    join = {"group": "compute"}
    for member in ("c1", "waiter:ready"):
        assert grant.put(f"{url}/members/{member}", json=join, timeout=60).status_code == 403
    assert grant.delete(f"{url}/waiters/ready", timeout=60).status_code == 403
    assert shell(command, "--data-binary", SUCCESS).returncode == 0
    owner.wait(stack, "CREATE_COMPLETE")
    events = json.dumps([event.to_dict() for event in owner.events(stack)])
    assert len(secret) > 30
    assert secret not in events
    assert secret not in heat.log


def test_a_signal_of_failure_fails_the_stack_with_its_reason(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, waiting(), expect="")
    armed(bag)
    bag.waiter("ready").signal("FAILURE", reason="no disk", identifier="c1")
    reason = r"WaiterFailed: resources\.ready: waiter ready: signal c1 failed: no disk"
    with pytest.raises(StackFailed, match=reason):
        owner.wait(stack, "CREATE_COMPLETE")
    assert owner.resource(stack, "ready").resource_status == "CREATE_FAILED"


def test_the_failure_condition_fails_the_stack_with_the_failed_path(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, waiting(success=STARTED, failure=BROKEN), expect="")
    armed(bag)
    start(bag, "c1")
    bag.put("results/c2/failure", "out of memory")
    with pytest.raises(StackFailed, match=r"failure condition is met: results/c2/failure.*1 of 2"):
        owner.wait(stack, "CREATE_COMPLETE")


def test_a_waiter_that_cannot_be_met_fails_the_stack_with_the_reason(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    success = {"facts": "nodes/c9/ready", "present": True}
    stack = owner.create(name, waiting(success=success, fail_when_stuck=1), expect="")
    assert armed(bag).state == "pending"
    reason = r"stuck: waiter ready waits for nodes/c9/ready, but member c9 does not exist"
    with pytest.raises(StackFailed, match=reason):
        owner.wait(stack, "CREATE_COMPLETE")


def test_a_timeout_fails_the_stack_with_the_missing_members(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    every = {"every_member": {"group": "compute", "fact": "services/slurmd", "equals": "started"}}
    stack = owner.create(name, waiting(success=every, timeout=4), expect="")
    armed(bag)
    for node in ("c1", "c2"):
        bag.member(node).join("compute", ttl=600)
    start(bag, "c1")
    reason = r"WaiterTimedOut: resources\.ready: waiter ready: timed out with 1 of 2; missing: c2"
    with pytest.raises(StackFailed, match=reason):
        owner.wait(stack, "CREATE_COMPLETE")


def test_the_next_update_of_a_stack_that_failed_here_waits_again(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, waiting(success=STARTED, timeout=1), expect="CREATE_FAILED")
    start(bag, "c1", "c2")
    assert owner.output(stack, "state") == "timed_out"
    owner.update(stack, waiting(success=STARTED, timeout=1))
    assert owner.output(stack, "state") == "met"
    assert [waiter.name for waiter in bag.waiters()] == ["ready"]


def test_another_definition_waits_again_and_the_same_does_not(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    start_first = waiting(success=STARTED)
    stack = owner.create(name, start_first, expect="")
    armed(bag)
    start(bag, "c1", "c2")
    owner.wait(stack, "CREATE_COMPLETE")
    before = bag.waiter("ready").show().revision
    owner.update(stack, {**start_first, "description": "nothing new for the waiter"})
    assert bag.waiter("ready").show().revision == before

    changed = waiting(success={**STARTED, "count": 3})
    owner.heat.stacks.update(stack, template=json.dumps(changed))
    armed(bag)
    assert status(owner, stack) == "UPDATE_IN_PROGRESS"
    start(bag, "c3")
    owner.wait(stack, "UPDATE_COMPLETE")


def test_another_value_of_arm_waits_for_new_signals(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, waiting(arm={"version": 1}), expect="")
    armed(bag)
    bag.waiter("ready").signal(identifier="c1")
    owner.wait(stack, "CREATE_COMPLETE")
    command = owner.output(stack, "curl_cli")
    owner.heat.stacks.update(stack, template=json.dumps(waiting(arm={"version": 2})))
    assert armed(bag).signals == {}
    assert shell(command, "--data-binary", FAILURE).returncode == 0  # an instance keeps its grant
    with pytest.raises(StackFailed, match=r"UPDATE_FAILED.*no disk"):
        owner.wait(stack, "UPDATE_COMPLETE")


def test_a_waiter_without_a_name_receives_a_unique_one(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    resources = {each: inside("Waiter", success=BROKEN) for each in ("a", "b c")}
    stack = owner.create(name, template(resources), expect="")
    eventually(lambda: len(list(_waiters(bag))) == 2)
    first, second = sorted(waiter.name for waiter in bag.waiters())
    assert first.startswith(f"{name}-a-")
    assert second.startswith(f"{name}-b_c-")
    bag.put("results/c1/failure", 1)
    owner.wait(stack, "CREATE_COMPLETE")


def _waiters(bag: Stack) -> list[WaiterRecord]:
    try:
        return list(bag.waiters())
    except errors.NotFound:
        return []


def test_two_resources_never_share_a_waiter(
    owner: Orchestration, bag: Stack, facts: Client, name: str
) -> None:
    bag.configure()
    bag.waiter("ready").arm({"signals": 1})
    waiter = inside("Waiter", name="ready")
    waiter["properties"]["bag"] = name
    document = template({"ready": waiter})
    del document["resources"]["bag"]
    with pytest.raises(StackFailed, match=r"already has a waiter named ready.*Choose another name"):
        owner.create(name, document)
    owner.delete(owner.show(name).id)
    assert bag.waiter("ready").show().state == "pending"
    bag.delete_stack()


def test_deleting_the_waiter_fails_the_stack_with_a_reason(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, waiting(), expect="")
    armed(bag)
    bag.waiter("ready").delete()
    with pytest.raises(StackFailed, match=r"WaiterGone.*ready was deleted while the stack waited"):
        owner.wait(stack, "CREATE_COMPLETE")
    bag.put("results/c1/failure", 1)
    owner.update(stack, waiting(success=BROKEN))  # it is created again


def test_a_waiting_stack_is_deleted_at_once(owner: Orchestration, bag: Stack, name: str) -> None:
    stack = owner.create(name, waiting(), expect="")
    armed(bag)
    owner.delete(stack)
    with pytest.raises(errors.NotFound):
        bag.describe()


def test_an_outage_during_the_wait_does_not_fail_the_stack(
    owner: Orchestration, heat: HeatServer, service: ApiServer, bag: Stack, name: str
) -> None:
    stack = owner.create(name, waiting(success=STARTED), expect="")
    begun(owner, stack)
    service.kill()
    try:
        eventually(lambda: "waiter ready cannot be read; the stack still waits" in heat.log, 60)
        assert status(owner, stack) == "CREATE_IN_PROGRESS"
    finally:
        service.start()
    start(bag, "c1", "c2")
    owner.wait(stack, "CREATE_COMPLETE")


def test_a_service_that_hangs_does_not_delay_other_resources(
    owner: Orchestration, heat: HeatServer, service: ApiServer, bag: Stack, name: str
) -> None:
    slow = {"type": "OS::Heat::TestResource", "properties": {"action_wait_secs": {"create": 6}}}
    document = waiting(success=STARTED)
    document["resources"]["slow"] = slow
    stack = owner.create(name, document, expect="")
    begun(owner, stack)
    for worker in service.workers():
        os.kill(worker, signal.SIGSTOP)
    try:

        def other() -> bool:
            return owner.resource(stack, "slow").resource_status == "CREATE_COMPLETE"

        assert not other()
        eventually(other, 60)
        assert "waiter ready cannot be read; the stack still waits" in heat.log
        assert status(owner, stack) == "CREATE_IN_PROGRESS"
    finally:
        for worker in service.workers():
            os.kill(worker, signal.SIGCONT)
    start(bag, "c1", "c2")
    owner.wait(stack, "CREATE_COMPLETE")


def test_the_trust_continues_when_the_users_token_has_expired(
    heat: HeatServer, keystone: KeystoneServer, bag: Stack, name: str
) -> None:
    session = keystone.accounts.session("owner")
    owner = Orchestration(session, heat.url)
    token = session.get_token()
    stack = owner.create(name, waiting(), expect="")
    armed(bag)
    _revoke(session, keystone, token)
    eventually(lambda: "the trust waits for waiter ready" in heat.log, 60)
    bag.waiter("ready").signal()
    owner.wait(stack, "CREATE_COMPLETE")
    owner.clean()


def _revoke(session: Session, keystone: KeystoneServer, token: str | None) -> None:
    url = f"{keystone.accounts.auth_url}/auth/tokens"
    answer = session.delete(url, headers={"X-Subject-Token": token or ""})
    assert answer.status_code == 204
    session.invalidate()


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"count": 1, "success": STARTED}, "exclude each other.*leave count out"),
        ({"count": 0}, "count.*0 is out of range"),
        ({"timeout": 0}, "timeout.*0 is out of range"),
        ({"timeout": 2592001}, "timeout.*out of range"),
        ({"name": "a/b"}, "has 1 to 128 characters"),
        ({"success": "signals"}, "not a map"),
    ],
)
def test_invalid_properties_are_refused_before_anything_is_created(
    owner: Orchestration, name: str, properties: dict[str, Any], reason: str
) -> None:
    with pytest.raises(HTTPBadRequest, match=f"(?s){reason}"):
        owner.create(name, waiting(**properties))


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"success": {"all": [{"signals": 0}]}}, r"Field 'success\.all\.0\.signals'"),
        ({"failure": {"facts": "a//b"}}, r"Field 'failure\.facts'"),
    ],
)
def test_an_invalid_condition_fails_the_creation_with_its_place(
    owner: Orchestration, name: str, properties: dict[str, Any], reason: str
) -> None:
    with pytest.raises(
        StackFailed, match=f"resources.ready: factstore refused the request: {reason}"
    ):
        owner.create(name, waiting(**properties))
