"""An agent and a real service: joining, publishing, applying, reporting and departing."""

from __future__ import annotations

import os
import signal
import time

import pytest

from factstore.client import Context, Event, Stack, errors
from tests.agent.conftest import Make
from tests.agent.instance import Instance
from tests.eventually import eventually


def converged(stack: Stack, *members: str, within: float = 60.0, state: str = "ready") -> Context:
    """Return the context that exactly these members have applied."""

    def agreed() -> Context | None:
        try:
            found = stack.convergence(wait=1)
            context = stack.context(results=True)
        except errors.NotFound:
            return None
        states = {name: each["state"] for name, each in context.members.items()}
        if not found.converged or states != dict.fromkeys(members, state):
            return None
        return context if found.target == stack.convergence().target else None

    found = eventually(agreed, within)
    assert found is not None
    return found


def changes(stack: Stack, since: str) -> list[tuple[str, str | None]]:
    """Return the types and names of the changes since a cursor."""
    with stack.watch(since=since, bookmarks=True) as watch:
        stack.put("marker", time.monotonic_ns())
        found: list[tuple[str, str | None]] = []
        for item in watch:
            if isinstance(item, Event):
                for change in item.changes:
                    if change.path == "marker":
                        return found
                    found.append((change.type, change.path or change.name))
    raise AssertionError("the stack has ended")


def test_an_agent_joins_publishes_applies_and_reports(stack: Stack, make: Make) -> None:
    c1 = make("c1", group="compute", attributes='{"rack": 7}')
    c1.fact(cpus=4, **{"services/slurmd": "started"})
    c1.start()
    context = converged(stack, "c1")
    assert context.members == {
        "c1": {"group": "compute", "state": "ready", "attributes": {"rack": 7}}
    }
    own = context.facts["nodes"]["c1"]
    assert (own["cpus"], own["services"]) == (4, {"slurmd": "started"})
    assert own["boot_id"]
    status = {"state": "applied", "applying_since": None, "problems": {}}
    assert context.facts["results"] == {"c1": {"agent": status}}
    assert stack.get("nodes/c1/services/slurmd").member == "c1"
    assert c1.nodes == ["c1"]
    assert c1.runs


def test_an_agent_becomes_the_declared_member_of_its_name(stack: Stack, make: Make) -> None:
    stack.configure()
    declared = stack.member("c1").declare("x", "heat:1", reason="scaled_out")
    since = stack.snapshot().cursor
    assert stack.convergence().lagging == ("c1",)
    c1 = make("c1", group="compute")
    c1.start()
    converged(stack, "c1")
    (adopted,) = stack.members(declared="heat:1")
    assert (adopted.group, adopted.ttl, adopted.reason) == ("compute", 30, "scaled_out")
    assert adopted.joined_at == declared.joined_at
    told = changes(stack, since)
    assert ("member.change", "c1") in told
    assert "member.join" not in [kind for kind, _ in told]
    runs = c1.runs
    again = stack.member("c1").declare("x", "heat:1")
    assert (again.unchanged, c1.runs) == (True, runs)
    stack.member("c1").depart(declared="heat:1", reason="scaled_in")


def test_joins_and_departures_reach_files_and_hooks(stack: Stack, make: Make) -> None:
    c1, c2 = make("c1"), make("c2")
    c1.start()
    converged(stack, "c1")
    c2.start()
    converged(stack, "c1", "c2")
    assert c1.nodes == c2.nodes == ["c1", "c2"]
    assert c2.stop() == 0
    converged(stack, "c1")
    assert c1.nodes == ["c1"]
    assert c2.kept("member") is None


def test_an_agent_that_is_killed_and_restarted_in_time_changes_nothing(
    stack: Stack, make: Make
) -> None:
    c1 = make("c1")
    c1.fact(cpus=4)
    c1.start()
    cursor = converged(stack, "c1").cursor
    runs = len(c1.runs)
    generation = c1.kept("member")
    c1.kill()
    c1.start()
    eventually(lambda: c1.log.count("as before") == 1)
    eventually(lambda: c1.log.count("is ready") == 2)
    assert changes(stack, cursor) == []
    assert c1.kept("member") == generation
    assert len(c1.runs) == runs


def test_a_reload_reads_the_configuration_and_keeps_the_member(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    c1.start()
    cursor = converged(stack, "c1").cursor
    pid = c1.child.pid
    broken = c1.config.read_text().replace("ttl = 30", "ttl = 1")
    good = c1.config.read_text().replace("[agent]", '[agent]\nattributes = {"rack": 8}')
    c1.config.write_text(broken)
    c1.reload()
    eventually(lambda: "not reloading, because the configuration is invalid" in c1.log)
    c1.config.write_text(good)
    c1.reload()
    eventually(lambda: stack.context().members["c1"]["attributes"] == {"rack": 8})
    assert c1.child.pid == pid
    assert c1.child.running
    assert {kind for kind, _ in changes(stack, cursor)} == {"member.change"}


def test_facts_change_and_are_deleted_with_their_sources(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    c1.fact(cpus=4, disks=2)
    c1.start()
    converged(stack, "c1")
    c1.fact(cpus=8)
    c1.child.send_signal(signal.SIGUSR1)
    eventually(lambda: stack.context().facts["nodes"]["c1"].get("cpus") == 8)
    eventually(lambda: "disks" not in stack.context().facts["nodes"]["c1"])


def test_many_changes_result_in_few_runs(stack: Stack, make: Make) -> None:
    c1 = make("c1", ttl=60)
    c1.config.write_text(c1.config.read_text().replace("settle = 0.2", "settle = 1"))
    c1.start()
    converged(stack, "c1")
    before = len(c1.runs)
    for number in range(100):
        stack.put(f"storm/n{number % 10}", number)
    converged(stack, "c1")
    assert 1 <= len(c1.runs) - before <= 3


def test_an_agent_that_boots_together_with_others_runs_its_hooks_once(
    stack: Stack, make: Make
) -> None:
    c1 = make("c1", ttl=60, react="run_hooks = files")
    settles = "settle = 5\nmax_settle = 50"
    c1.config.write_text(c1.config.read_text().replace("settle = 0.2", settles))
    stack.put("nodes/n0/ip", 0)
    c1.start()
    number, left = 0, 100  # puts after those of c1
    while left:
        number += 1
        stack.put(f"nodes/n{number}/ip", number)
        left -= "c1" in stack.context().facts["nodes"]
    converged(stack, "c1")
    assert c1.nodes == sorted(["c1", *(f"n{n}" for n in range(number + 1))])
    assert len(c1.runs) == 1


def test_a_reverted_change_is_applied_without_running_hooks(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    c1.start()
    stack.put("a", 1)
    converged(stack, "c1")
    before = len(c1.runs)
    stack.put("a", 2)
    stack.put("a", 1)
    converged(stack, "c1")
    assert len(c1.runs) == before


def test_a_failed_hook_is_reported_and_repeated_until_it_succeeds(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    c1.hook("20-broken", "test -e DIR/mended || exit 3")
    c1.start()
    problems = {"hook 20-broken": "exited with status 3"}
    failed = {"state": "failed", "applying_since": None, "problems": problems}
    eventually(lambda: results(stack) == failed)
    eventually(lambda: len(c1.runs) >= 3)
    assert stack.convergence().lagging == ("c1",)
    assert c1.log.count("exited with status 3") == 1  # once, however often it is tried
    (c1.directory / "mended").touch()
    assert converged(stack, "c1").members["c1"]["state"] == "ready"
    applied = {"state": "applied", "applying_since": None, "problems": {}}
    eventually(lambda: results(stack) == applied)


def results(stack: Stack, name: str = "c1") -> dict[str, object]:
    try:
        found: dict[str, object] = stack.context(results=True).facts["results"][name]["agent"]
    except (errors.NotFound, KeyError):
        return {}
    return found


def test_the_older_of_two_agents_with_one_name_gives_way(stack: Stack, make: Make) -> None:
    older = make("c1", place="older", ttl=5)
    older.start()
    converged(stack, "c1")
    newer = make("c1", place="newer", ttl=5)
    newer.start()
    assert older.child.wait(60) == 3
    assert "Another agent has been member c1" in older.log
    assert "this agent gives way" in older.log
    converged(stack, "c1")
    assert newer.child.running
    older.start()  # it gives way also when it is started again
    assert older.child.wait(60) == 3
    assert newer.child.running
    converged(stack, "c1")


def test_the_agent_ends_with_its_stack_if_so_configured(stack: Stack, make: Make) -> None:
    ending = make("c1", end_with_stack="yes", ttl=5)
    staying = make("c2", ttl=5, react="rejoin_grace = 0")  # c1 does not join the new stack
    for each in (ending, staying):
        each.start()
    converged(stack, "c1", "c2")
    stack.delete_stack()
    assert ending.child.wait(60) == 0
    eventually(lambda: f"Stack {stack.name} has been deleted" in staying.log)
    with pytest.raises(errors.NotFound):
        stack.describe()  # nobody brought it back
    stack.put("again", True)
    converged(stack, "c2")


def test_facts_and_states_of_commands_outlive_an_incarnation(stack: Stack, make: Make) -> None:
    c1 = make("c1", ready="manual")
    told = c1.call("put", "services/slurmd", "starting")
    assert (told.returncode, told.stdout) == (4, "")
    assert told.stderr == (
        "factstore-agent: the agent will send this when it runs: "
        "the agent has not joined the stack yet\n"
    )
    told = c1.call("put", "--ttl", "60", "--json", "load", "0.9")
    assert (told.returncode, told.stderr) == (
        4,
        "factstore-agent: not sent: the agent has not joined the stack yet\n",
    )
    c1.start()
    context = converged(stack, "c1", state="joining")
    assert "load" not in context.facts["nodes"]["c1"]
    assert context.facts["nodes"]["c1"]["services"] == {"slurmd": "starting"}
    assert context.members["c1"]["state"] == "joining"
    for arguments in (
        ("put", "services/slurmd", "started"),
        ("put", "--json", "cpus", "4"),
        ("put", "mistake", "x"),
        ("delete", "mistake"),
        ("ready",),
    ):
        done = c1.call(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    context = converged(stack, "c1")
    own = context.facts["nodes"]["c1"]
    assert (own["services"], own["cpus"]) == ({"slurmd": "started"}, 4)
    assert "mistake" not in own
    assert context.members["c1"]["state"] == "ready"
    stack.member("c1").depart()  # as if its time had been over
    eventually(lambda: c1.log.count("joined stack") == 2)
    context = converged(stack, "c1")
    assert context.facts["nodes"]["c1"]["services"] == {"slurmd": "started"}
    assert context.members["c1"]["state"] == "ready"
    refused = c1.call("put", "a//b", "x")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert c1.call("drain").returncode == 0
    assert stack.member("c1").show().state == "draining"


def test_a_hook_can_use_the_commands(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    import sys

    c1.hook("20-tell", f"{sys.executable} -m factstore.agent.cli put services/x started")
    c1.start()
    context = converged(stack, "c1")
    assert context.facts["nodes"]["c1"]["services"] == {"x": "started"}


def test_cron_can_run_the_agent_once_at_a_time(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    c1.fact(cpus=4)
    assert c1.call("run", "--once").returncode == 0  # its own readiness changes the context
    assert c1.call("run", "--once").returncode == 0
    converged(stack, "c1")
    before, cursor = len(c1.runs), stack.context().cursor
    assert c1.call("run", "--once").returncode == 0
    assert changes(stack, cursor) == []
    assert len(c1.runs) == before
    c1.hook("10-apply", "exit 1")
    assert c1.call("run", "--once").returncode == 1


def test_a_single_run_does_nothing_beside_a_running_agent(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    c1.start()
    converged(stack, "c1")
    before = len(c1.runs)
    done = c1.call("run", "--once")
    assert done.returncode == 0
    assert f"an agent is already running as process {c1.child.pid}" in done.stderr
    assert len(c1.runs) == before
    second = c1.call("run")
    assert second.returncode == 1
    assert f"an agent is already running as process {c1.child.pid}" in second.stderr


def test_an_agent_can_be_stopped_while_a_hook_runs(stack: Stack, make: Make) -> None:
    c1 = make("c1")
    c1.hook("20-long", "echo $$ > DIR/pid; sleep 300")
    c1.start()
    eventually((c1.directory / "pid").exists)
    eventually(lambda: results(stack).get("state") == "applying")
    began = time.monotonic()
    assert c1.stop() == 0
    assert time.monotonic() - began < 100  # the hook sleeps longer
    with pytest.raises(errors.NotFound):
        stack.member("c1").show()


def test_an_agent_that_does_not_depart_restarts_as_the_same_member(
    stack: Stack, make: Make
) -> None:
    c1 = make("c1", depart_on_stop="no")
    c1.start()
    cursor = converged(stack, "c1").cursor
    assert c1.stop() == 0
    c1.start()
    eventually(lambda: "as before" in c1.log)
    assert changes(stack, cursor) == []


def test_systemd_receives_the_status(
    stack: Stack, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    c1 = make("c1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(60)
        address = c1.directory / "notify"
        systemd.bind(str(address))
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        c1.start()
        assert systemd.recv(1000) == b"READY=1\nSTATUS=connecting to the service"
        assert systemd.recv(1000).startswith(f"STATUS=c1 of {stack.name}: applied ".encode())
        os.kill(c1.child.pid, signal.SIGTERM)
        while systemd.recv(1000) != b"STOPPING=1":
            pass


def member_of(instance: Instance) -> str | None:
    kept = instance.kept("member")
    return kept["generation"] if kept else None
