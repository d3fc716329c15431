"""Turns of real agents: failed hooks, single runs, and the commands lock and rank."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from factstore.client import Stack, errors
from tests.agent.conftest import Make
from tests.agent.instance import Instance, environ
from tests.agent.test_agent import converged
from tests.agents import ARGV
from tests.eventually import eventually


def turns(stack: Stack, queue: str) -> list[tuple[str, bool]]:
    return [(turn.member, turn.holds) for turn in stack.turns(queue)]


def agent_state(stack: Stack, member: str) -> object:
    try:
        return stack.get(f"results/{member}/agent/state").value
    except errors.NotFound:
        return None


# Hooks


def test_a_turn_is_given_back_after_a_failed_hook_and_the_newest_context_is_applied(
    stack: Stack, make: Make
) -> None:
    c1 = make("c1", react="max_parallel = 1")
    c1.hook("20-fails", "test -e DIR/good")
    stack.configure()
    other = stack.member("other")
    generation = other.join("node", ttl=600).generation
    blocking = stack.turn("node", "other", generation=generation)
    assert blocking.take().holds
    c1.start()
    eventually(lambda: turns(stack, "node") == [("other", True), ("c1", False)])
    stack.put("late", 1)
    assert c1.runs == []
    cursor = stack.context().cursor
    blocking.give_back()
    eventually(lambda: c1.runs)
    assert int(c1.runs[0].partition(".")[2]) >= int(cursor.partition(".")[2])
    eventually(lambda: agent_state(stack, "c1") == "failed")
    assert blocking.take(wait=50).holds  # the failed agent queues again behind others
    c1.write("good", "")
    blocking.give_back()
    other.depart()
    converged(stack, "c1")
    eventually(lambda: turns(stack, "node") == [])


def test_a_single_run_waits_for_its_turn(stack: Stack, make: Make) -> None:
    stack.configure()
    generation = stack.member("other").join("node", ttl=600).generation
    blocking = stack.turn("node", "other", generation=generation)
    assert blocking.take().holds
    c1 = make("c1", react="max_parallel = 1", ttl=5)
    with start(c1, "run", "--once") as running:
        eventually(lambda: turns(stack, "node") == [("other", True), ("c1", False)])
        assert c1.runs == []
        blocking.give_back()
        assert running.wait(60) == 0
    assert c1.runs
    assert turns(stack, "node") == []


# Commands


@pytest.fixture
def c1(stack: Stack, make: Make) -> Instance:
    """An instance whose agent has joined."""
    return joined(stack, make, "c1")


def joined(stack: Stack, make: Make, name: str) -> Instance:
    made = make(name, ttl=10)
    made.start()
    eventually(lambda: is_member(stack, name) and made.kept("member"))
    return made


def is_member(stack: Stack, name: str) -> bool:
    try:
        return bool(stack.member(name).show())
    except errors.NotFound:
        return False


@contextmanager
def start(instance: Instance, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command of the agent, and end it after the block."""
    with subprocess.Popen(
        [*ARGV, "--config", str(instance.config), *arguments],
        env=environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            instance.write("end", "")
            running.kill()


HANG = (
    "trap 'exit 7' TERM; echo $FACTSTORE_TURN >began.new; mv began.new began; "
    "while ! test -e end; do sleep 0.05; done"
)


def hang(instance: Instance, *options: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start a command in a turn, which ends when its directory has the file ``end``."""
    script = f"cd {instance.directory}; {HANG}"
    return start(instance, "lock", *options, "q", "--", "sh", "-c", script)


def began(instance: Instance) -> Callable[[], bool]:
    return (instance.directory / "began").exists


def test_a_command_runs_in_its_turn_and_its_status_is_returned(stack: Stack, c1: Instance) -> None:
    done = c1.call("lock", "q", "--", "sh", "-c", "exit 9")
    assert done.returncode == 9, done.stderr
    assert c1.call("lock", "q", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    assert c1.call("lock", "q", "--", "no-such-command").returncode == 127
    assert turns(stack, "q") == []


def test_a_command_gets_the_revision_of_its_turn(stack: Stack, c1: Instance) -> None:
    numbers = []
    for _ in range(2):
        with hang(c1) as running:
            eventually(began(c1))
            (turn,) = stack.turns("q")
            numbers.append(turn.revision)
            assert (c1.directory / "began").read_text() == f"{turn.revision}\n"
            c1.write("end", "")
            assert running.wait(30) == 0
        for name in ("began", "end"):
            (c1.directory / name).unlink()
    assert numbers == sorted(set(numbers)), "it grows from turn to turn"


def test_commands_of_two_members_and_of_one_member_never_run_at_once(
    stack: Stack, make: Make, c1: Instance
) -> None:
    c2 = joined(stack, make, "c2")
    with hang(c1) as first:
        eventually(began(c1))
        with hang(c2) as second, start(c1, "lock", "q", "--", "true") as third:
            eventually(lambda: turns(stack, "q") == [("c1", True), ("c2", False)])
            late = c1.call("lock", "--timeout", "0.1", "q", "--", "true")
            assert (late.returncode, "not held in time" in late.stderr) == (4, True)
            assert not began(c2)()
            assert third.poll() is None
            c1.write("end", "")
            assert first.wait(60) == 0
            eventually(began(c2))
            c2.write("end", "")
            assert (second.wait(60), third.wait(60)) == (0, 0)
    assert turns(stack, "q") == []


def test_a_command_gets_sigterm_when_its_turn_is_lost(stack: Stack, c1: Instance) -> None:
    with hang(c1) as running:
        eventually(began(c1))
        stack.turn("q", "c1").give_back()
        assert running.wait(60) == 5
        assert running.stderr is not None
        assert "was lost" in running.stderr.read()


def test_signals_are_passed_to_the_command_and_end_a_wait(
    stack: Stack, make: Make, c1: Instance
) -> None:
    c2 = joined(stack, make, "c2")
    with hang(c1) as running:
        eventually(began(c1))
        with hang(c2) as waiting:
            eventually(lambda: len(turns(stack, "q")) == 2)
            waiting.send_signal(signal.SIGTERM)
            assert waiting.wait(60) == 128 + signal.SIGTERM
        assert turns(stack, "q") == [("c1", True)]
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 7
    assert turns(stack, "q") == []


def test_the_agent_gives_back_the_turn_of_a_killed_command_when_its_program_has_ended(
    stack: Stack, c1: Instance
) -> None:
    with hang(c1) as running:
        eventually(began(c1))
        running.kill()
        running.wait(60)
        c1.child.send_signal(signal.SIGUSR1)  # collects facts, and looks for abandoned turns
        assert c1.call("lock", "--timeout", "0.5", "q", "--", "true").returncode == 4
        assert turns(stack, "q") == [("c1", True)]
        c1.write("end", "")

        def swept() -> bool:
            c1.child.send_signal(signal.SIGUSR1)
            return turns(stack, "q") == []

        eventually(swept)


def test_a_leader_keeps_its_turn_until_its_member_departs(
    stack: Stack, make: Make, c1: Instance
) -> None:
    c2 = joined(stack, make, "c2")
    assert c1.call("lock", "--leader", "q", "--", "true").returncode == 0
    assert turns(stack, "q") == [("c1", True)]
    with hang(c2, "--leader") as second:
        eventually(lambda: len(turns(stack, "q")) == 2)
        assert c1.call("lock", "--leader", "q", "--", "true").returncode == 0
        assert not began(c2)()
        c1.stop()
        eventually(began(c2))
        c2.write("end", "")
        assert second.wait(60) == 0


def test_ranks_are_printed_and_their_queue_takes_no_lock(
    stack: Stack, make: Make, c1: Instance
) -> None:
    c2 = joined(stack, make, "c2")
    ranks = [each.call("rank", "nodes").stdout for each in (c1, c2, c1)]
    assert ranks == ["0\n", "1\n", "0\n"]
    refused = c1.call("lock", "nodes", "--", "true")
    assert (refused.returncode, "used for ranks" in refused.stderr) == (1, True)
    assert len(turns(stack, "nodes")) == 2


def test_a_command_needs_an_agent_that_has_joined(make: Make) -> None:
    idle = make("idle")
    for arguments in (("lock", "q", "--", "true"), ("rank", "q")):
        refused = idle.call(*arguments)
        assert refused.returncode == 4
        assert refused.stderr == (
            "factstore-agent: The agent has not joined the stack yet. Start the agent first.\n"
        )
    assert idle.call("lock", "a/b", "--", "true").returncode == 1


def test_a_command_ends_if_its_member_is_gone_and_no_agent_runs(stack: Stack, make: Make) -> None:
    stack.configure()
    alone = make("alone")
    assert alone.call("run", "--once").returncode == 0
    assert alone.call("lock", "q", "--", "true").returncode == 0  # the member is alive
    stack.member("alone", generation=alone.kept("member")["generation"]).depart()
    for gone in ("departed", "replaced", "deleted"):
        if gone == "replaced":
            stack.member("alone").join("node", ttl=600)
        elif gone == "deleted":
            stack.delete_stack()
        for arguments in (("lock", "q", "--", "true"), ("rank", "r")):
            refused = alone.call(*arguments)
            assert refused.returncode == 4, (gone, arguments, refused)
            assert len(refused.stderr.splitlines()) == 1, refused.stderr
            assert "No agent is running" in refused.stderr, refused.stderr
