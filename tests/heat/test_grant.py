"""``OS::FactStore::Grant``: grants for instances from issue to revocation."""

from __future__ import annotations

import email
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from heatclient.exc import HTTPBadRequest

from factstore import SERVICE_TYPE
from factstore.client import Client, GrantRecord, Stack, errors
from factstore.cmd.processes.keystone import KeystoneServer
from factstore.cmd.processes.process import Child
from tests.agents import agent_argv
from tests.heat.lab.catalogue import Catalogue
from tests.heat.lab.database import DatabaseServer
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.templates import attributes, inside, shell, template
from tests.service import ApiServer

SHOWN = ("url", "token", "agent_config", "cloud_config", "curl_cli")
YEAR = 365 * 24 * 3600


def granted(**properties: Any) -> dict[str, Any]:
    """Return a template with a grant and outputs for its attributes."""
    return template({"grant": inside("Grant", **properties)}, attributes("grant", *SHOWN))


@pytest.fixture
def bag(facts: Client, name: str) -> Stack:
    return facts.stack(name)


@pytest.fixture
def agents() -> Iterator[list[Child]]:
    """The agents that a test has started, which are killed after it."""
    started: list[Child] = []
    yield started
    for child in started:
        child.terminate(10)


def only(bag: Stack) -> GrantRecord:
    (grant,) = bag.grants()
    return grant


def boot(user_data: str, directory: Path) -> Path:
    """Write a cloud-config's files below a directory; return the path of the agent's configuration."""
    assert user_data.startswith("#cloud-config\n")
    for each in yaml.safe_load(user_data)["write_files"]:
        file = directory / Path(each["path"]).name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(each["content"].replace("/etc/factstore/", f"{directory}/"))
        file.chmod(int(each["permissions"], 8))
    return directory / "agent.conf"


def places(directory: Path) -> dict[str, Any]:
    """Settings with which several agents can run on one machine."""
    return {
        "agent": {"state_dir": f"{directory}/state"},
        "facts": {"directory": f"{directory}/facts.d", "builtin": "hostname"},
        "react": {"hooks": f"{directory}/hooks.d", "settle": 0},
    }


def start(config: Path, agents: list[Child]) -> None:
    child = Child(f"agent of {config.parent.name}")
    agents.append(child)
    child.start([*agent_argv(config), "run"], log_path=config.parent / "agent.log")


def test_a_members_grant_is_issued_shown_and_revoked(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, granted(member="head", group="heads"))
    grant = only(bag)
    assert (grant.role, grant.member, grant.group, grant.ttl) == ("agent", "head", "heads", YEAR)
    assert owner.resource(stack, "grant").physical_resource_id == grant.id
    url, token = owner.output(stack, "url"), owner.output(stack, "token")
    assert url.startswith(f"http://{token.replace('.', ':')}@")
    assert url.endswith(f"/v1/stacks/{name}")
    assert (
        requests.put(f"{url}/facts/nodes/head/ip", data="10.0.0.5", timeout=60).status_code == 201
    )
    assert requests.put(f"{url}/facts/nodes/c1/ip", data="10.0.0.6", timeout=60).status_code == 403
    bearer = {"Authorization": f"Bearer {token}"}
    plain = f"http://{url.partition('@')[2]}"
    assert requests.get(f"{plain}/facts/nodes/head/ip", headers=bearer, timeout=60).ok
    read = shell(owner.output(stack, "curl_cli"))
    assert json.loads(read.stdout)["facts"] == {"nodes": {"head": {"ip": "10.0.0.5"}}}
    owner.update(stack, template({}))
    assert list(bag.grants()) == []
    assert requests.get(f"{url}/context", timeout=60).status_code == 401
    assert bag.get("nodes/head/ip").value == "10.0.0.5"


def test_a_readers_grant_reads_and_configures_no_agent(
    owner: Orchestration, heat: HeatServer, bag: Stack, name: str
) -> None:
    stack = owner.create(name, granted(role="reader", ttl=3600))
    assert (only(bag).role, only(bag).ttl) == ("reader", 3600)
    assert shell(owner.output(stack, "curl_cli")).returncode == 0
    url = owner.output(stack, "url")
    assert requests.put(f"{url}/facts/nodes/c1/ip", data="x", timeout=60).status_code == 403
    for attribute in ("agent_config", "cloud_config"):
        assert owner.output(stack, attribute) is None
        assert f"attribute {attribute} of Grant" in heat.log


def test_the_agent_of_a_member_starts_from_its_cloud_config(
    owner: Orchestration, bag: Stack, name: str, tmp_path: Path, agents: list[Child]
) -> None:
    instance = tmp_path / "head"
    stack = owner.create(name, granted(member="head", group="heads", settings=places(instance)))
    config = boot(owner.output(stack, "agent_config"), instance)
    assert (instance / "grant").stat().st_mode & 0o777 == 0o600
    start(config, agents)
    eventually(lambda: _state(bag, "head") == "ready")
    assert bag.member("head").show().group == "heads"
    assert bag.get("nodes/head/hostname").updated_by == f"grant:{only(bag).id}"


def test_the_agents_of_a_group_start_from_one_cloud_config(
    owner: Orchestration, bag: Stack, name: str, tmp_path: Path, agents: list[Child]
) -> None:
    stack = owner.create(name, granted(group="compute"))
    data = owner.output(stack, "agent_config")
    parent = only(bag)
    assert (parent.member, parent.group) == (None, "compute")
    for host in ("c1", "c2"):
        config = boot(data, tmp_path / host)
        hosted = {**places(tmp_path / host)}
        hosted["agent"]["member"] = (
            host  # the default is the host's name, but these agents share a host
        )
        text = config.read_text().replace("[agent]\n", f"[agent]\n{_lines(hosted.pop('agent'))}")
        more = "".join(f"\n[{title}]\n{_lines(options)}" for title, options in hosted.items())
        config.write_text(text + more)
        start(config, agents)
    for host in ("c1", "c2"):
        eventually(lambda host=host: _state(bag, host) == "ready")
        assert bag.member(host).show().group == "compute"
    issued = {grant.member: grant.created_by for grant in bag.grants() if grant.member}
    assert issued == dict.fromkeys(("c1", "c2"), f"grant:{parent.id}")
    own = json.loads((tmp_path / "c1" / "state" / "grant.json").read_text())["content"]["token"]
    bearer = {"Authorization": f"Bearer {own}"}
    plain = f"http://{owner.output(stack, 'url').partition('@')[2]}"
    assert requests.get(f"{plain}/context", headers=bearer, timeout=60).status_code == 200
    owner.update(stack, template({}))
    assert requests.get(f"{plain}/context", headers=bearer, timeout=60).status_code == 401


def _lines(options: dict[str, Any]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in options.items())


def _state(bag: Stack, member: str) -> str | None:
    try:
        return bag.member(member).show().state
    except errors.NotFound:
        return None


def test_the_cloud_config_is_usable_as_user_data_as_a_part_and_as_a_map(
    owner: Orchestration, name: str
) -> None:
    document = granted(member="head", settings={"react": {"settle": 2}}, install="")
    resources = document["resources"]
    config = {"get_attr": ["grant", "agent_config"]}
    script = "#!/bin/sh\necho hello\n"
    resources["parts"] = {
        "type": "OS::Heat::MultipartMime",
        "properties": {
            "parts": [{"config": script}, {"config": config, "subtype": "cloud-config"}]
        },
    }
    resources["cloud"] = {
        "type": "OS::Heat::CloudConfig",
        "properties": {"cloud_config": {"get_attr": ["grant", "cloud_config"]}},
    }
    for each in ("parts", "cloud"):
        document["outputs"][each] = {"value": {"get_attr": [each, "config"]}}
    stack = owner.create(name, document)
    user_data = owner.output(stack, "agent_config")
    first, second = email.message_from_string(owner.output(stack, "parts")).get_payload()
    assert first.get_payload() == script
    assert second.get_content_type() == "text/cloud-config"
    assert second.get_payload() == user_data
    made = owner.output(stack, "cloud")
    assert made.startswith("#cloud-config\n")
    assert yaml.safe_load(made) == yaml.safe_load(user_data) == owner.output(stack, "cloud_config")


def test_what_was_handed_out_stays_until_it_is_renewed_on_purpose(
    owner: Orchestration,
    heat: HeatServer,
    keystone: KeystoneServer,
    service: ApiServer,
    catalogue: Catalogue,
    bag: Stack,
    name: str,
) -> None:
    def document(**properties: Any) -> dict[str, Any]:
        found = granted(member="head", **properties)
        found["resources"] |= {
            "server": {  # like a server, it is replaced when its user data change
                "type": "OS::Heat::SoftwareConfig",
                "properties": {"config": {"get_attr": ["grant", "agent_config"]}},
            },
            "fact": inside("Fact", path="nodes/c1/ip"),
            "waiter": inside("Waiter", name="ready", success={"facts": "a", "present": True}),
        }
        found["resources"]["bag"]["properties"] = {"parameters": {"a": 1}}
        more = [("fact", "url"), ("fact", "curl_cli"), ("waiter", "signal_url"), ("bag", "url")]
        for resource, attribute in more:
            found["outputs"][f"{resource}_{attribute}"] = {
                "value": {"get_attr": [resource, attribute]}
            }
        return found

    def outputs() -> dict[str, Any]:
        return {each: owner.output(stack, each) for each in document()["outputs"]}

    stack = owner.create(name, document(ttl=3600))
    before = outputs()
    grant = bag.grant(owner.resource(stack, "grant").physical_resource_id)
    issued = grant.show()
    server = owner.resource(stack, "server").physical_resource_id
    moved = service.url.replace("127.0.0.1", "localhost")
    catalogue.point("public", f"{moved}/v1")
    eventually(lambda: moved in _public_endpoint(keystone))
    owner = Orchestration(keystone.accounts.session("owner"), heat.url)  # a token has a catalog
    changes: dict[str, Any] = {"ttl": 7200, "install": "", "settings": {"react": {"settle": 2}}}
    owner.update(stack, document(**changes))
    assert outputs() == before
    assert owner.resource(stack, "server").physical_resource_id == server
    assert grant.show().ttl == 7200
    assert grant.show().expires_at > issued.expires_at
    owner.update(stack, document(**changes, renew="2027"))
    after = outputs()
    assert {key for key in before if before[key] != after[key]} == {
        "url",
        "agent_config",
        "cloud_config",
        "curl_cli",
    }
    assert "settle = 2\n" in after["agent_config"]
    assert f"url = {moved}\n" in after["agent_config"]
    assert "fetch_agent" not in after["agent_config"]
    assert owner.resource(stack, "server").physical_resource_id != server


def _public_endpoint(keystone: KeystoneServer) -> str:
    session = keystone.accounts.session("owner")
    return str(session.get_endpoint(service_type=SERVICE_TYPE, interface="public"))


def test_a_grant_for_another_member_replaces_the_grant(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, granted(member="head"))
    before, url = only(bag), owner.output(stack, "url")
    owner.update(stack, granted(member="login"))
    assert only(bag).id != before.id
    assert only(bag).member == "login"
    assert requests.get(f"{url}/context", timeout=60).status_code == 401


def test_the_next_update_replaces_a_revoked_grant(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, granted(member="head"))
    bag.grant(only(bag).id).revoke()
    owner.update(stack, granted(member="head", ttl=7200))
    assert owner.resource(stack, "grant").physical_resource_id == only(bag).id
    assert shell(owner.output(stack, "curl_cli")).returncode == 0
    bag.grant(only(bag).id).revoke()
    owner.update(stack, template({}))


def test_a_leaked_grant_is_replaced_once_revoked_and_marked_unhealthy(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    document = granted(member="head")
    stack = owner.create(name, document)
    leaked = owner.output(stack, "token")
    bag.grant(owner.resource(stack, "grant").physical_resource_id).revoke()
    owner.heat.resources.mark_unhealthy(stack, "grant", True, "its grant has leaked")
    owner.update(stack, document)
    assert owner.output(stack, "token") not in (None, leaked)
    assert owner.resource(stack, "grant").physical_resource_id == only(bag).id


def test_a_check_fails_if_the_grant_was_revoked(
    owner: Orchestration, bag: Stack, name: str
) -> None:
    stack = owner.create(name, granted(member="head"))
    owner.heat.actions.check(stack)
    owner.wait(stack, "CHECK_COMPLETE")
    bag.grant(only(bag).id).revoke()
    owner.heat.actions.check(stack)
    with pytest.raises(StackFailed, match="does not exist"):
        owner.wait(stack, "CHECK_COMPLETE")


def test_an_outage_fails_the_deletion_with_a_reason_and_the_next_succeeds(
    owner: Orchestration, service: ApiServer, bag: Stack, name: str
) -> None:
    stack = owner.create(name, granted(member="head"))
    service.kill()
    try:
        with pytest.raises(StackFailed, match=r"resources\.grant: factstore cannot be reached"):
            owner.delete(stack)
    finally:
        service.start()
    assert only(bag).member == "head"
    owner.delete(stack)


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({}, "needs a member or a group"),
        ({"role": "reader", "group": "compute"}, "Leave it out for a reader"),
        ({"role": "admin", "member": "a"}, "admin"),
        ({"member": "a/b"}, "A member's name has 1 to 128 characters"),
        ({"member": "a", "group": ""}, "A group's name has 1 to 128 characters"),
        ({"member": "a", "ttl": 59}, "ttl.*59 is out of range"),
        ({"member": "a", "ttl": 31622401}, "ttl.*out of range"),
        ({"member": "a", "settings": {"agent": {"stack": "b"}}}, "stack is set from the grant"),
        ({"member": "a", "settings": {"agent": 1}}, r"\[agent\] must be a map"),
        ({"member": "a", "install": "factstore"}, "is not the URL of an agent"),
        ({"member": "a", "install": "https://x"}, "must end with #sha256="),
        ({"member": "a", "cacert": "/etc/ca.pem"}, "is not a certificate in PEM"),
    ],
)
def test_invalid_properties_are_refused_before_anything_is_created(
    owner: Orchestration, facts: Client, name: str, properties: dict[str, Any], reason: str
) -> None:
    with pytest.raises(HTTPBadRequest, match=f"(?s){reason}"):
        owner.create(name, granted(**properties))
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_neither_log_nor_events_nor_database_of_heat_contain_the_grant(
    owner: Orchestration, heat: HeatServer, database: DatabaseServer, bag: Stack, name: str
) -> None:
    stack = owner.create(name, granted(member="head"))
    tokens = [owner.output(stack, "token")]
    owner.update(stack, granted(member="login"))
    tokens.append(owner.output(stack, "token"))
    owner.output(stack, "agent_config")
    events = json.dumps([event.to_dict() for event in owner.events(stack)])
    rows = database.dump("heat")
    assert stack in rows
    for secret in (token.partition(".")[2] for token in tokens):
        assert len(secret) > 30
        assert secret not in events
        assert secret not in heat.log
        assert secret not in rows
