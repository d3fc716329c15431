"""The templates in the guides on grants and waiters do what the guides state."""

from __future__ import annotations

import email
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from factstore.agent import config_check
from factstore.agent.apply import templates
from factstore.agent.config.settings import load_settings
from factstore.client import Client, Stack
from tests.docs.pages import code
from tests.heat.lab.orchestration import Orchestration, StackFailed
from tests.heat.lab.patience import eventually

GRANTS, WAITERS = "how-to/heat-grants.rst", "how-to/heat-waiters.rst"
BLOCKS = {
    page: [yaml.safe_load(block) for block in code(page, "yaml")] for page in (GRANTS, WAITERS)
}


def whole(page: str) -> list[dict[str, Any]]:
    """Return the templates of a page, with user data in place of each server: there is no Nova here."""
    found = [block for block in BLOCKS[page] if "resources" in block]
    for resources in (block["resources"] for block in found):
        for name, each in resources.items():
            if each["type"] == "OS::Nova::Server":
                value = each["properties"]["user_data"]
                resources[name] = {"type": "OS::Heat::Value", "properties": {"value": value}}
    return found


(SIGNALLED,) = whole(WAITERS)
CONFIGURED, PROMISED = whole(GRANTS)


@pytest.fixture
def bag(facts: Client, name: str) -> Stack:
    return facts.stack(name)


def create(owner: Orchestration, name: str, template: dict[str, Any], expect: str) -> str:
    return owner.create(
        name,
        template,
        parameters={"image": "none", "flavor": "none"},
        expect=expect,
    )


def run(user_data: str, directory: Path) -> None:
    """Run user data as the first boot would, with a directory in place of /tmp."""
    script = user_data.replace("/tmp/", f"{directory}/")
    interpreter = script.partition("\n")[0].removeprefix("#!")
    done = subprocess.run(
        [interpreter], input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def user_data(owner: Orchestration, stack: str, server: str) -> str:
    """Wait for a server, and return its user data."""

    def there() -> bool:
        found: str = owner.resource(stack, server).resource_status
        return found == "CREATE_COMPLETE"

    eventually(there, 60)
    got: str = owner.resource(stack, server, "value").attributes["value"]
    return got


def test_a_script_signals_with_the_grant_of_its_server(
    owner: Orchestration, bag: Stack, name: str, tmp_path: Path
) -> None:
    stack = create(owner, name, SIGNALLED, "")
    run(user_data(owner, stack, "db"), tmp_path)
    owner.wait(stack, "CREATE_COMPLETE")
    assert owner.output(stack, "port") == 5432


def test_a_script_that_fails_signals_the_failure(
    owner: Orchestration, bag: Stack, name: str, tmp_path: Path
) -> None:
    stack = create(owner, name, SIGNALLED, "")
    (tmp_path / "db-is-installed").write_text("a file, in the way of a directory")
    run(user_data(owner, stack, "db"), tmp_path)
    with pytest.raises(StackFailed, match=r"signal db failed: no space"):
        owner.wait(stack, "CREATE_COMPLETE")


def test_the_user_data_of_several_parts_configures_the_agent(
    owner: Orchestration, name: str, tmp_path: Path
) -> None:
    template = {**CONFIGURED, "outputs": {"init": {"value": {"get_attr": ["init", "config"]}}}}
    stack = create(owner, name, template, "CREATE_COMPLETE")
    parts = email.message_from_string(owner.output(stack, "init")).get_payload()
    written = [file for part in parts for file in yaml.safe_load(part.get_payload())["write_files"]]
    for each in written:
        if each["path"].startswith("/etc/factstore/"):
            file = tmp_path / Path(each["path"]).relative_to("/etc/factstore")
            file.parent.mkdir(exist_ok=True)
            content = each["content"].replace("/etc/factstore", str(tmp_path))
            file.write_text(content.replace("[agent]", f"[agent]\nstate_dir = {tmp_path}/state"))
            file.chmod(int(each.get("permissions", "0644"), 8))
    settings = load_settings(tmp_path / "agent.conf")
    assert list(config_check.find_problems(settings, {})) == []
    nodes = {"head": {"ip": "10.0.0.5"}, "c1": {"ip": "10.0.0.6"}}
    rendered = templates.render(settings.templates["hosts"].source, {"facts": {"nodes": nodes}})
    assert rendered == "127.0.0.1 localhost\n10.0.0.5 head\n10.0.0.6 c1\n"


def test_a_promise_is_written_at_first_boot(
    owner: Orchestration, bag: Stack, name: str, tmp_path: Path
) -> None:
    stack = create(owner, name, PROMISED, "CREATE_COMPLETE")
    assert owner.output(stack, "join_token") is None
    run(user_data(owner, stack, "head"), tmp_path)
    token = owner.output(stack, "join_token")
    assert (len(token), token) == (16, bag.get("nodes/head/join-token").value)
    assert "/facts/nodes/head/join-token?wait=50" in owner.output(stack, "where")


@pytest.mark.parametrize("page", [GRANTS, WAITERS])
def test_resources_that_are_shown_without_a_template_are_valid(
    owner: Orchestration, page: str
) -> None:
    shown = [block for block in BLOCKS[page] if "resources" not in block]
    assert shown
    for block in shown:
        resources = {name: each for name, each in block.items() if "type" in each}
        owner.heat.stacks.validate(
            template={
                "heat_template_version": "2021-04-16",
                "parameters": {each: {"type": "number"} for each in ("servers", "version")},
                "resources": {"bag": {"type": "OS::FactStore::DataBag"}, **resources},
            }
        )
