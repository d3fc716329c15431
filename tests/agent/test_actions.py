"""Actions of real agents: one after the other, killed, cancelled, and not allowed."""

from __future__ import annotations

import re

from factstore.client import ActionRecord, Stack
from tests.agent.conftest import Make
from tests.agent.instance import Instance
from tests.eventually import eventually

DEPLOY = "[deploy]\nhooks = DIR/heat\nactions = script\n"
SECRET = "hunter2-hunter2"
HOOK = """\
cat > DIR/input
echo ran >> DIR/ran
echo 'unpacking 40%' >&2
while ! test -e DIR/go; do sleep 0.05; done
echo '{"deploy_stdout": "printed by $USER", "deploy_status_code": 0, "load": 1}'
"""


def with_hook(instance: Instance, name: str, script: str) -> None:
    """Write a hook for configurations and actions."""
    instance.hook(name, script)
    (instance.directory / "heat").mkdir(exist_ok=True)
    (instance.directory / "hooks.d" / name).rename(instance.directory / "heat" / name)


def lines(instance: Instance, name: str) -> list[str]:
    file = instance.directory / name
    return file.read_text().split() if file.exists() else []


def test_an_action_runs_on_one_agent_after_the_other_once_although_they_are_killed(
    stack: Stack, make: Make
) -> None:
    stack.configure()
    agents = {name: make(name, DEPLOY, ttl=30, group="compute") for name in ("c1", "c2")}
    for each in agents.values():
        with_hook(each, "script", HOOK)
        with_hook(each, "other", HOOK)
        each.start()
    eventually(lambda: {"c1", "c2"} == {each.name for each in stack.members()})
    stack.put("secrets/password", SECRET, sensitive=True, readers=["group/compute"])
    made = stack.run_action(
        "script", group="compute", input_facts={"password": "secrets/password"}, max_parallel=1
    )
    action = stack.action(made.id)

    def states() -> dict[str, str]:
        return {each.member: each.state for each in shown(action.show()).results}

    def progress() -> tuple[str, int | None]:
        found = shown(action.show()).results[0]
        return found.message, found.percent

    eventually(lambda: progress() == ("unpacking 40%", 40))
    assert states() == {"c1": "in_progress", "c2": "waiting"}
    agents["c1"].kill()
    (agents["c1"].directory / "go").touch()
    agents["c1"].start()
    eventually(lambda: states() == {"c1": "complete", "c2": "in_progress"})
    (agents["c2"].directory / "go").touch()
    ended = action.wait(60)
    assert (ended.state, ended.counts) == ("complete", {"complete": 2})
    results = list(action.results())
    assert [each.stdout for each in results] == ["printed by $USER"] * 2
    assert results[0].outputs == {"load": 1}
    for each in agents.values():
        assert lines(each, "ran") == ["ran"]
        assert SECRET in (each.directory / "input").read_text()
        assert SECRET not in each.log

    # Only the hooks that the agents' configuration names, and until the action is cancelled.
    refused = stack.action(stack.run_action("other", member="c1").id).wait(60)
    assert refused.state == "failed"
    assert "does not allow actions to run the hook other" in refused.results[0].reason
    for each in agents.values():
        (each.directory / "go").unlink()
    action = stack.action(stack.run_action("script", group="compute").id)
    eventually(lambda: states() == {"c1": "in_progress", "c2": "in_progress"})
    action.cancel()
    ended = action.wait(60)
    assert ended.counts == {"cancelled": 2}
    assert re.search("was cancelled", ended.results[0].reason)
    assert [lines(each, "ran") for each in agents.values()] == [["ran"] * 2] * 2


def shown(record: ActionRecord | None) -> ActionRecord:
    assert record is not None
    return record
