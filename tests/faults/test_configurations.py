"""Configurations of many real agents finish, each once, although agents and workers are killed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from factstore.client import ConfigurationRecord, Stack, connect
from factstore.cmd.processes.etcd import EtcdServer
from tests.agent.instance import Instance
from tests.eventually import eventually
from tests.faults.conftest import StartApi
from tests.http import fresh_stack

HOOK = """\
cat > /dev/null
echo begin $(date +%s%N) >> DIR/deployed
sleep 0.2
echo end $(date +%s%N) >> DIR/deployed
echo '{"deploy_stdout": "done", "deploy_status_code": 0}'
"""
EACH = 4


@pytest.mark.timeout(3600)
def test_configurations_with_dependencies_across_members_finish_once_under_kills(
    etcd_server: EtcdServer, start_api: StartApi, tmp_path: Path, scale: int, seed: int
) -> None:
    chance = random.Random(seed)
    api = start_api([etcd_server.endpoint], workers=2)
    stack = connect({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": api.url}).stack(fresh_stack())
    count = 5 if scale == 1 else 50
    names = [f"c{n:02}" for n in range(count)]
    agents = [agent(tmp_path / name, api.url, stack.name, name) for name in names]
    depends: dict[str, list[str]] = {}
    for at in range(EACH):  # each layer depends on members of the one before
        for name in names:
            on = [f"{other}/s{at - 1}" for other in chance.sample(names, 2)] if at else []
            depends[f"{name}/s{at}"] = on
            stack.configuration(name, f"s{at}").put("script", depends_on=on)
    try:
        for each in agents:
            each.start()
        left = count
        while left:  # an agent at a time is killed and started again, and now and then a worker
            victim = chance.choice(agents)
            before = len(ended(stack))
            victim.kill()
            victim.start()
            if left % 4 == 0:
                api.kill_worker()
            left -= 1
            eventually(lambda before=before: len(ended(stack)) > before or is_done(stack, count))  # type: ignore[misc]
        eventually(lambda: is_done(stack, count), 600)
        for each in agents:
            lines = (each.directory / "deployed").read_text().splitlines()
            assert len(lines) == 2 * EACH, (each.name, lines)  # each ran once, to its end
            assert [line.split()[0] for line in lines] == ["begin", "end"] * EACH
        found = {f"{each.member}/{each.name}": each for each in ended(stack)}
        for key, on in depends.items():
            began = found[key].result
            assert began is not None
            for other in on:
                before_it = found[other].result
                assert before_it is not None
                assert (before_it.ended_at or "") <= began.started_at
        assert len(stack.timeline()) == EACH * count
    finally:
        for each in agents:
            each.kill()


def agent(directory: Path, url: str, stack: str, name: str) -> Instance:
    """Return an instance whose agent deploys, and that is not lost while it is restarted."""
    made = Instance(directory, url, stack, name, "[deploy]\nhooks = DIR/heat\n", ttl=300)
    made.hook("script", HOOK)
    (directory / "heat").mkdir()
    (directory / "hooks.d" / "script").rename(directory / "heat" / "script")
    return made


def ended(stack: Stack) -> list[ConfigurationRecord]:
    """Return the configurations that have ended, none of which has failed."""
    found = stack.configurations()
    assert found is not None
    failed = [each for each in found.configurations if each.state == "failed"]
    assert not failed, [(each.member, each.name, each.result) for each in failed]
    return [each for each in found.configurations if each.state == "complete"]


def is_done(stack: Stack, count: int) -> bool:
    return len(ended(stack)) == EACH * count
