"""What Heat logs when it logs all that it does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from factstore.client import Client
from factstore.cmd.processes.keystone import KeystoneServer
from tests.heat.conftest import RESOURCES
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.lab.serving import serving
from tests.heat.templates import attributes, inside, template
from tests.service import ApiServer


@pytest.fixture
def talkative(
    service: ApiServer, keystone: KeystoneServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HeatServer]:
    """A Heat that is debugged."""
    server = HeatServer(
        tmp_path_factory.mktemp("talkative"),
        keystone,
        plugin_dirs=[RESOURCES],
        options={"DEFAULT": {"debug": "true"}},
    )
    with serving(server):
        yield server


def test_a_heat_that_is_debugged_does_not_log_grants(
    talkative: HeatServer, keystone: KeystoneServer, facts: Client, name: str
) -> None:
    owner = Orchestration(keystone.accounts.session("owner"), talkative.url)
    resources = {
        "grant": inside("Grant", member="head"),
        "fact": inside("Fact", path="nodes/c1/ip"),
        "waiter": inside("Waiter", name="ready"),
    }
    commands = {each: {"get_attr": [each, "curl_cli"]} for each in resources}
    shown = attributes("grant", "url", "token", "agent_config")
    stack = owner.create(name, template(resources, {**commands, **shown}), expect="")
    command = eventually(lambda: owner.output(stack, "waiter"), 60)
    facts.stack(name).waiter("ready").signal()
    owner.wait(stack, "CREATE_COMPLETE", 60)
    told = [command, owner.output(stack, "grant"), owner.output(stack, "fact")]
    for each in shown:
        assert owner.output(stack, each)
    owner.delete(stack)
    assert " DEBUG " in talkative.log
    for secret in (each.split("-u ")[1].split()[0].partition(":")[2] for each in told):
        assert len(secret) > 30
        assert secret not in talkative.log
