"""``OS::FactStore::Fact``: written by a template, or promised and written by an instance."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from heatclient.exc import HTTPBadRequest
from keystoneauth1.session import Session

from factstore.client import Client, Stack, errors
from factstore.cmd.processes.keystone import KeystoneServer
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.server import HeatServer
from tests.heat.templates import attributes, inside, shell, template
from tests.service import ApiServer

LEAVES_STACKS = True  # see conftest.py

IP = "nodes/head/ip"
VALUES = ["10.0.0.5", "", 8, 1.5, 1.0, True, False, [1, {"a": None}], {"a": [1]}, {}, []]


def fact(path: str = IP, **properties: Any) -> dict[str, Any]:
    return inside("Fact", path=path, **properties)


def promised(path: str = IP, **properties: Any) -> dict[str, Any]:
    """Return a template with a promise and outputs for its attributes."""
    outputs = attributes("ip", "value", "url", "curl_cli")
    return template({"ip": fact(path, **properties)}, outputs)


@pytest.fixture
def bag(facts: Client, name: str) -> Stack:
    return facts.stack(name)


@pytest.fixture
def session(keystone: KeystoneServer) -> Session:
    return keystone.accounts.session("owner")


def there(bag: Stack, path: str) -> bool:
    try:
        bag.get(path)
    except errors.NotFound:
        return False
    return True


def test_a_value_of_any_type_is_written_shown_and_deleted(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    resources = {f"f{at}": fact(f"all/f{at}", value=value) for at, value in enumerate(VALUES)}
    shown = {each: {"get_attr": [each, "value"]} for each in resources}
    urls = {f"{each}_url": {"get_attr": [each, "url"]} for each in resources}
    stack = owner.create(name, template(resources, {**shown, **urls}))
    for at, value in enumerate(VALUES):
        written = bag.get(f"all/f{at}")
        assert (json.dumps(written.value), written.kind) == (json.dumps(value), "observed")
        assert json.dumps(owner.output(stack, f"f{at}")) == json.dumps(value)
        bare = not isinstance(value, dict | list)
        url = owner.output(stack, f"f{at}_url")
        assert url.endswith(f"/facts/all/f{at}?wait=50{'&format=raw' if bare else ''}")
    assert owner.resource(stack, "f0").physical_resource_id == "all/f0"
    owner.update(stack, template({}))
    assert [fact.path for fact in bag.snapshot().facts] == []


def test_the_command_writes_a_promise_and_the_url_reads_it(
    owner: Orchestration, bag: Stack, session: Session, name: str
) -> None:
    stack = owner.create(name, promised())
    assert not there(bag, IP)
    assert owner.output(stack, "value") is None
    command, url = owner.output(stack, "curl_cli"), owner.output(stack, "url")
    done = shell(command, "-d", "10.0.0.5")
    assert done.returncode == 0, done.stderr
    assert owner.output(stack, "value") == "10.0.0.5"
    read = requests.get(url, headers={"X-Auth-Token": session.get_token() or ""}, timeout=60)
    assert (read.status_code, read.text) == (200, "10.0.0.5")
    (grant,) = bag.grants()
    assert (grant.role, grant.member, grant.ttl) == ("agent", "head", 365 * 24 * 3600)
    assert grant.id not in url

    json_too = ["-H", "Content-Type: application/json", "-d", '{"value": ["10.0.0.6"]}']
    assert shell(command, *json_too).returncode == 0
    assert owner.output(stack, "value") == ["10.0.0.6"]
    for other in ("nodes/c1/ip", "slurm/partition"):
        refused = shell(command.replace(IP, other), "-d", "x")
        assert (refused.returncode, "403" in refused.stderr) == (22, True)

    owner.update(stack, template({}))
    assert not there(bag, IP)
    assert list(bag.grants()) == []
    assert "401" in shell(command, "-d", "late").stderr


def test_a_promise_below_results_has_a_command_and_one_without_a_grant_has_any_path_and_none(
    owner: Orchestration, heat: HeatServer, bag: Stack, name: str
) -> None:
    document = promised("slurm/version", grant=False)
    document["resources"]["score"] = fact("results/c1/test/score")
    document["outputs"]["score"] = {"value": {"get_attr": ["score", "curl_cli"]}}
    stack = owner.create(name, document)
    assert [grant.member for grant in bag.grants()] == ["c1"]
    assert owner.output(stack, "curl_cli") is None
    assert "attribute curl_cli of Fact" in heat.log
    bag.put("slurm/version", "23.11")
    assert owner.output(stack, "value") == "23.11"
    assert shell(owner.output(stack, "score"), "-d", "good").returncode == 0
    assert bag.get("results/c1/test/score").value == "good"


def test_an_update_writes_the_value_and_turns_a_fact_into_a_promise_and_back(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    first = {"ip": fact(value="10.0.0.5"), "typed": fact("typed", value=1)}
    stack = owner.create(name, template(first))
    second = {"ip": fact(value="10.0.0.6", kind="parameter"), "typed": fact("typed", value=True)}
    owner.update(stack, template(second))
    written = bag.get(IP)
    assert (written.value, written.kind) == ("10.0.0.6", "parameter")
    assert bag.get("typed").value is True  # only the type is another one
    owner.update(stack, promised())
    assert not there(bag, IP)
    command = owner.output(stack, "curl_cli")
    assert shell(command, "-d", "10.0.0.7").returncode == 0
    owner.update(stack, template({"ip": fact(value="10.0.0.8")}))
    assert bag.get(IP).value == "10.0.0.8"
    assert list(bag.grants()) == []
    assert shell(command, "-d", "x").returncode == 22


def test_a_check_reports_a_fact_that_differs_and_an_update_repairs_it(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    document = template({"ip": fact(value="10.0.0.5")})
    stack = owner.create(name, document)
    bag.member("head").join("heads", ttl=600)
    bag.put(IP, "10.0.0.5", member="head")  # the fact would be deleted with the member
    owner.heat.actions.check(stack)
    with pytest.raises(StackFailed, match=f"differ from the template: {IP}"):
        owner.wait(stack, "CHECK_COMPLETE")
    owner.update(stack, document)
    assert bag.get(IP).member is None


def test_another_path_replaces_the_fact_and_heat_shows_neither_grants_nor_sensitive_values(
    owner: Orchestration, heat: HeatServer, bag: Stack, name: str
) -> None:
    secret = fact("nodes/head/key", value="pa55-munge", sensitive=True, readers=["group/compute"])
    document = promised()
    document["resources"]["key"] = secret
    document["outputs"]["key"] = {"value": {"get_attr": ["key", "value"]}}
    stack = owner.create(name, document)
    written = bag.get("nodes/head/key")
    assert (written.value, written.sensitive) == ("pa55-munge", True)
    assert written.readers == ("group/compute",)
    assert owner.output(stack, "key") is None

    before = owner.output(stack, "curl_cli")
    owner.update(stack, promised("nodes/other/ip"))
    assert shell(before, "-d", "x").returncode == 22
    assert shell(owner.output(stack, "curl_cli"), "-d", "10.0.0.9").returncode == 0
    assert [fact.path for fact in bag.snapshot().facts] == ["nodes/other/ip"]
    assert [grant.member for grant in bag.grants()] == ["other"]

    word = before.split("-u ")[1].split()[0].partition(":")[2]
    assert len(word) > 30
    events = json.dumps([event.to_dict() for event in owner.events(stack)])
    assert not [each for each in (word, "pa55-munge") if each in events or each in heat.log]


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        (
            {"path": "slurm/version"},
            "not a path that a member may write.*nodes/MEMBER/.*set grant to",
        ),
        ({"path": "nodes/head"}, "not a path that a member may write"),
        ({"path": IP, "sensitive": True}, "is a promise, so sensitive and readers must"),
        (
            {"path": IP, "readers": ["group/a"]},
            "is a promise, so sensitive and readers must",
        ),
        ({"path": IP, "value": 1, "readers": ["group/a"]}, "Set sensitive to true as well"),
        ({"path": "/nodes/head/ip", "value": 1}, "at most 16 segments, joined by '/'"),
        ({"path": "nodes//ip", "value": 1}, "at most 16 segments, joined by '/'"),
        ({"path": "/".join("a" * 17), "value": 1}, "at most 16 segments, joined by '/'"),
        ({"path": "a/" + "b" * 129, "value": 1}, "at most 16 segments, joined by '/'"),
        ({"path": "näme", "value": 1}, "at most 16 segments, joined by '/'"),
        ({"path": IP, "value": 1, "kind": "guess"}, "guess"),
        ({"value": 1}, "path not assigned"),
        ({"path": IP, "value": 1, "ttl": 5}, "Unknown Property ttl"),
    ],
)
def test_invalid_properties_are_refused_before_anything_is_created(
    owner: Orchestration, facts: Client, name: str, properties: dict[str, Any], reason: str
) -> None:
    with pytest.raises(HTTPBadRequest, match=f"(?s){reason}"):
        owner.create(name, template({"ip": inside("Fact", **properties)}))
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_a_value_that_resolves_to_null_is_refused(owner: Orchestration, name: str) -> None:
    unknown = {"get_attr": ["promise", "value"]}
    resources = {"promise": fact(), "copy": fact("copy", value=unknown)}
    with pytest.raises(StackFailed, match=r"resources\.copy: the value is null.*leave value out"):
        owner.create(name, template(resources))


def test_a_refusal_by_factstore_is_the_reason_in_heat_and_can_be_repaired(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    resources = {"ip": fact(value=1), "in_it": {**fact(f"{IP}/v4", value=2), "depends_on": "ip"}}
    with pytest.raises(StackFailed, match=r"in_it: factstore refused the request: .*nodes/head/ip"):
        owner.create(name, template(resources))
    stack = owner.show(name).id
    owner.update(stack, template({"ip": fact(value=1), "in_it": fact("nodes/head/v4", value=2)}))
    assert [fact.path for fact in bag.snapshot().facts] == [IP, "nodes/head/v4"]


def test_the_next_update_repairs_one_that_failed_by_a_refusal_or_an_outage_without_a_replacement(
    owner: Orchestration, service: ApiServer, bag: Stack, name: str
) -> None:
    stack = owner.create(name, template({"ip": fact(value=1)}))
    identifier = owner.resource(stack, "ip").physical_resource_id
    with pytest.raises(StackFailed, match=r"factstore refused.*64 KiB|factstore refused.*65536"):
        owner.update(stack, template({"ip": fact(value="x" * 70_000)}))
    assert bag.get(IP).value == 1
    bag.delete(IP)
    owner.update(stack, template({"ip": fact(value=1)}))
    assert bag.get(IP).value == 1

    service.kill()
    try:
        with pytest.raises(
            StackFailed, match=r"bag: Error validating.*factstore cannot be reached"
        ):
            owner.update(stack, template({"ip": fact(value=2)}))
    finally:
        service.start()
    owner.update(stack, template({"ip": fact(value=2)}))
    assert bag.get(IP).value == 2
    assert owner.resource(stack, "ip").physical_resource_id == identifier


def test_a_fact_that_was_deleted_already_can_be_deleted(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, template({"ip": fact(value=1), "promise": fact("nodes/c1/ip")}))
    bag.delete(IP)
    (grant,) = bag.grants()
    bag.grant(grant.id).revoke()
    owner.update(stack, template({}))
    bag.delete_stack()
    owner.delete(stack)
