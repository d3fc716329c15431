"""``OS::FactStore::OrderedConfig`` in a real Heat, with a real agent and the hook of heat-agents."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

from factstore.client import Client, ConfigurationRecord, Event, FactstoreError, Stack
from tests.heat.examples import example
from tests.heat.lab.orchestration import Orchestration
from tests.heat.lab.patience import eventually
from tests.heat.lab.server import HeatServer
from tests.heat.templates import inside, template
from tests.heat_agents import install_hooks

SECRET = "correct-horse-battery"


class Progress:
    """The states of configurations that a watcher sees, from the beginning of the stack on."""

    def __init__(self, bag: Stack) -> None:
        self.seen: list[tuple[str, str]] = []
        self._watch = bag.watch(initial=True, retry_for=120)
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        with contextlib.suppress(FactstoreError):
            for item in self._watch:
                for change in item.changes if isinstance(item, Event) else ():
                    if (
                        change.type == "fact.put"
                        and change.fact
                        and change.fact.path.startswith("results/serv1/config")
                    ):
                        each = change.fact.path.rpartition("/")[2], change.fact.value["state"]
                        if each not in self.seen[-1:]:  # else it has made progress
                            self.seen.append(each)


def described(bag: Stack) -> bool:
    """Return whether the bag exists."""
    try:
        bag.describe()
    except FactstoreError:
        return False
    return True


def test_configurations_run_in_order_again_and_in_reverse(
    owner: Orchestration, heat: HeatServer, facts: Client, name: str, tmp_path: Path
) -> None:
    hooks, bag = install_hooks(tmp_path / "hooks", "script"), facts.stack(name)
    ordered = example("ordered.yaml", hooks=str(hooks), password=SECRET)
    stack = owner.create(name, **ordered, expect="")
    eventually(lambda: described(bag))
    progress = Progress(bag)
    owner.wait(stack, "CREATE_COMPLETE", 120)
    server = heat.state_dir / "servers" / owner.resource(stack, "server").physical_resource_id
    log = server / "var/log/configs"
    expected = ["configA: CREATE", "configB: CREATE, port 5432"]
    assert log.read_text().splitlines() == expected
    assert owner.output(stack, "port") == "5432"
    assert owner.output(stack, "printed") == "logged in with ***\n"
    assert owner.output(stack, "status") == 0
    states = [
        (each, state) for each in ("configA", "configB") for state in ("in_progress", "complete")
    ]
    eventually(lambda: len(progress.seen) >= len(states))
    assert progress.seen == states
    # The secret is sealed for the member, and appears nowhere.
    sealed = bag.get("inputs/serv1/configB/password")
    assert (sealed.sensitive, sealed.kind, sealed.readers) == (True, "parameter", ("member/serv1",))
    assert SECRET not in json.dumps(bag.context(results=True).document)
    assert SECRET not in (server / "factstore-agent.log").read_text()
    # An update runs again under a new id, also if only a secret differs.
    before = [bag.configuration("serv1", each).show() for each in ("configA", "configB")]
    other = example("ordered.yaml", hooks=str(hooks), password=f"{SECRET}-2")
    owner.update(stack, **other, within=90)
    after = [bag.configuration("serv1", each).show() for each in ("configA", "configB")]
    assert [_id(one) == _id(two) for one, two in zip(before, after, strict=True)] == [True, False]
    expected.append("configB: UPDATE, port 5432")
    assert log.read_text().splitlines() == expected
    assert bag.get("inputs/serv1/configB/password").value == f"{SECRET}-2"
    # A failure has the end of stderr; the next update repairs it.
    broken = example("ordered.yaml", hooks=str(hooks), password=SECRET)
    script = "#!/bin/sh\necho out; echo no space left on $password >&2; exit 7\n"
    broken["template"]["resources"]["configB"]["properties"]["script"] = script
    owner.update(stack, **broken, within=90, expect="UPDATE_FAILED")
    reason = owner.resource(stack, "configB").resource_status_reason
    assert "configuration serv1/configB failed: the hook reported status 7" in reason
    assert "no space left on ***" in reason
    owner.update(stack, **ordered, within=90)
    expected.append("configB: UPDATE, port 5432")
    assert log.read_text().splitlines() == expected
    owner.heat.actions.check(stack)
    owner.wait(stack, "CHECK_COMPLETE")
    undeployed: list[str] = []

    def deleted() -> bool:
        with contextlib.suppress(OSError):
            undeployed[:] = log.read_text().splitlines()
        try:
            owner.wait(stack, "DELETE_COMPLETE", 0)
        except AssertionError:
            return False
        return True

    owner.heat.stacks.delete(stack)
    eventually(deleted, 90)
    assert undeployed == [*expected, "configB: DELETE, port 5432", "configA: DELETE"]


def _id(found: ConfigurationRecord | None) -> str:
    assert found is not None
    return found.id


def config(**properties: Any) -> dict[str, Any]:
    given = {"member": "m1", "script": "#!/bin/sh\n", **properties}
    return inside("OrderedConfig", **given)


def found(bag: Stack, name: str) -> ConfigurationRecord | None:
    """Return a configuration of m1, or None if it does not exist."""
    try:
        return bag.configuration("m1", name).show()
    except FactstoreError:
        return None


def act(bag: Stack, name: str, action: str, state: str, **result: Any) -> None:
    """Act as the agent of m1: wait until an action is due, and report."""

    def due() -> ConfigurationRecord | None:
        one = found(bag, name)
        return one if one and one.action == action and one.state in ("due", "in_progress") else None

    record = eventually(due)
    assert record is not None
    bag.configuration("m1", name).report(record.id, state, **result)


SOFTWARE = {
    "type": "OS::Heat::SoftwareConfig",
    "properties": {
        "group": "ansible",
        "config": "- hosts: all\n",
        "inputs": [{"name": "port", "default": "80"}, {"name": "who"}],
        "outputs": [{"name": "url"}, {"name": "error", "error_output": True}],
        "options": {"tags": "web"},
    },
}
PARTS = {
    "type": "OS::Heat::SoftwareComponent",
    "properties": {
        "configs": [
            {"actions": ["CREATE", "UPDATE"], "tool": "script", "config": "up"},
            {"actions": ["DELETE"], "tool": "puppet", "config": "down"},
        ]
    },
}


def test_software_configs_and_actions_of_a_member_that_comes_and_goes(
    owner: Orchestration, facts: Client, name: str
) -> None:
    resources = {
        "software": SOFTWARE,
        "parts": PARTS,
        "app": config(
            name="app",
            config={"get_resource": "software"},
            input_values={"who": "me", "more": [1]},
            actions=["CREATE", "SUSPEND", "DELETE"],
        ),
        "part": config(name="part", depends_on=["m1/app"], config={"get_resource": "parts"}),
        "later": config(name="later", actions=["RESUME"]),
    }
    for each in ("part", "later"):
        if resources[each]["properties"].get("config"):
            del resources[each]["properties"]["script"]
    del resources["app"]["properties"]["script"]
    outputs = {"url": {"get_attr": ["app", "url"]}, "state": {"get_attr": ["later", "state"]}}
    bag = facts.stack(name)
    stack = owner.create(name, template(resources, outputs), expect="")
    record = eventually(lambda: found(bag, "app"))
    assert record is not None
    assert (record.group, record.config, record.options) == (
        "ansible",
        "- hosts: all\n",
        {"tags": "web"},
    )
    assert record.inputs == {"port": "80", "who": "me", "more": [1]}
    assert list(record.outputs) == ["url", "error"]
    member = bag.member("m1")
    member.join("servers", ttl=3600)
    act(bag, "app", "CREATE", "complete", outputs={"url": "http://m1"})
    act(bag, "part", "CREATE", "complete", status_code=0)
    owner.wait(stack, "CREATE_COMPLETE")
    assert owner.output(stack, "url") == "http://m1"
    assert owner.output(stack, "state") is None
    part = found(bag, "part")
    assert part is not None
    assert (part.group, part.config) == ("script", "up")
    # SUSPEND and RESUME run what is declared for them.
    owner.heat.actions.suspend(stack)
    act(bag, "app", "SUSPEND", "complete", outputs={"url": ""})
    owner.wait(stack, "SUSPEND_COMPLETE")
    owner.heat.actions.resume(stack)
    act(bag, "later", "RESUME", "complete")
    owner.wait(stack, "RESUME_COMPLETE")
    # An action that is not declared changes nothing; an output that reports an error fails.
    resources["app"]["properties"]["input_values"] = {"who": "you"}
    resources["later"]["properties"] |= {"actions": ["RESUME", "UPDATE"], "timeout": 60}
    owner.update(stack, template(resources, outputs), expect="")
    act(bag, "later", "UPDATE", "in_progress", message="half", stderr="at work")
    app = found(bag, "app")
    assert app is not None
    assert app.action == "SUSPEND"
    # The member is lost during the run.
    member.depart(reason="crashed")
    owner.wait(stack, "UPDATE_FAILED")
    reason = owner.resource(stack, "later").resource_status_reason
    assert "configuration m1/later is lost: member m1 departed or expired" in reason
    assert "at work" in reason
    owner.heat.actions.check(stack)
    owner.wait(stack, "CHECK_FAILED")
    assert "m1/later is lost" in owner.resource(stack, "later").resource_status_reason
    # DELETE is declared, but the machine does not exist any more: nothing waits for it.
    owner.delete(stack)


def test_a_deletion_undeploys_and_fails_with_the_hook_until_the_member_departs(
    owner: Orchestration, facts: Client, name: str
) -> None:
    resources = {"app": config(name="app", actions=["CREATE", "DELETE"])}
    stack = owner.create(name, template(resources), expect="")
    bag = facts.stack(name)
    eventually(lambda: found(bag, "app"))
    twin = {**resources, "twin": {**config(name="app"), "depends_on": "app"}}
    member = bag.member("m1")
    member.join("servers", ttl=3600)
    act(bag, "app", "CREATE", "complete", outputs={})
    owner.wait(stack, "CREATE_COMPLETE")
    owner.update(stack, template(twin), expect="UPDATE_FAILED")
    reason = owner.resource(stack, "twin").resource_status_reason
    assert "already has a configuration m1/app" in reason
    owner.update(stack, template(resources))
    # An abandoned stack leaves its configuration, which can be adopted.
    left = owner.heat.stacks.abandon(stack)
    arguments = {"adopt_stack_data": json.dumps(left), "expect": "ADOPT_COMPLETE"}
    resources_of = template(resources)
    resources_of["resources"]["bag"]["properties"] = {"name": name}
    stack = owner.create(f"{name}-2", resources_of, **arguments)
    assert owner.resource(stack, "app").physical_resource_id == "m1/app"
    owner.heat.stacks.delete(stack)
    act(bag, "app", "DELETE", "failed", status_code=1, stderr="still in use")
    owner.wait(stack, "DELETE_FAILED")
    assert "still in use" in owner.resource(stack, "app").resource_status_reason
    owner.heat.stacks.delete(stack)
    act(bag, "app", "DELETE", "in_progress")
    member.depart(reason="deleted")
    owner.wait(stack, "DELETE_COMPLETE")


def test_the_templates_of_the_guide_deploy_the_same(
    owner: Orchestration, facts: Client, name: str
) -> None:
    before, after = (
        example(f"deploy/{each}.yaml", **parameters)
        for each, parameters in (
            ("before", {"server": "s1", "password": SECRET}),
            ("after", {"bag": name, "member": "m1", "password": SECRET}),
        )
    )
    for each in (before, after):
        for unused in ("image", "flavor"):
            del each["environment"]["parameters"][unused]
    shown = owner.heat.stacks.validate(**before)
    assert shown["Parameters"].keys() == {"server", "password"}
    bag = facts.stack(name)
    bag.configure()
    member = bag.member("m1")
    member.join("servers", ttl=3600)
    stack = owner.create(f"{name}-app", **after, expect="")

    def due(key: str) -> ConfigurationRecord | None:
        return next(
            (each for each in listed(bag) if each.name.startswith(key) and each.state == "due"),
            None,
        )

    database = eventually(lambda: due(f"{name}-app-database-"))
    assert database is not None
    bag.configuration("m1", database.name).report(
        database.id, "complete", status_code=0, outputs={"port": "5432"}
    )
    app = eventually(lambda: due(f"{name}-app-app-"))
    assert app is not None
    record = bag.configuration("m1", app.name).show()
    assert record is not None
    assert (record.inputs, record.depends_on) == ({"port": "5432"}, [f"m1/{database.name}"])
    assert bag.get(record.input_facts["password"]).value == SECRET
    bag.configuration("m1", app.name).report(app.id, "complete", status_code=0, stdout="done")
    owner.wait(stack, "CREATE_COMPLETE")
    assert owner.output(stack, "port") == "5432"
    assert owner.output(stack, "printed") == "done"
    member.depart(reason="deleted")
    owner.delete(stack)
    assert listed(bag) == []
    bag.delete_stack()


def listed(bag: Stack) -> list[ConfigurationRecord]:
    found = bag.configurations()
    assert found is not None
    return list(found.configurations)
