"""The command ``openstack fact watch``, in the process of the test."""

from __future__ import annotations

import io
import json
import logging
import signal
from collections.abc import Callable

import pytest

from factstore.client import Put, Stack, connect
from tests.eventually import eventually
from tests.osc.shell import Shell
from tests.service import ApiServer


class Output(io.StringIO):
    """Standard output that runs a step after each write."""

    def __init__(self, *steps: Callable[[], object], terminal: bool = False) -> None:
        super().__init__()
        self._steps = iter(steps)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        written = super().write(text)
        next(self._steps, lambda: None)()
        return written


@pytest.mark.parametrize("formatter", ["json", "yaml", "value"])
def test_a_watch_prints_each_event_until_the_stack_is_deleted(
    openstack: Shell, stack: Stack, formatter: str
) -> None:
    stack.put("a", "one")
    steps = Output(lambda: stack.batch([Put("b", [2]), Put("c", "x\n")]), stack.delete_stack)
    result = openstack("fact", "watch", stack.name, "--initial", "-f", formatter, output=steps)
    assert result.status == 0, result.err
    if formatter == "value":
        assert result.out.splitlines() == [
            "fact.put a one",
            "fact.put b [2]",
            "fact.put c x\\n",
            "stack.delete",
        ]
    elif formatter == "yaml":
        assert result.out.count("---\n") == 3
        assert "type: stack.delete\n" in result.out
    else:
        first, second, third = map(json.loads, result.out.splitlines())
        assert [fact["path"] for fact in first["snapshot"]["facts"]] == ["a"]
        assert [change["path"] for change in second["changes"]] == ["b", "c"]
        assert third["changes"][0]["type"] == "stack.delete"


def test_a_watch_continues_after_a_cursor_with_filters(openstack: Shell, stack: Stack) -> None:
    stack.put("a", 1)
    since = openstack.json("fact", "context", "show", stack.name)["cursor"]
    stack.put("nodes/b", 2)
    stack.put("c", 3)
    stack.delete("nodes/b")
    options = (
        "--since",
        since,
        "--prefix",
        "nodes",
        "--type",
        "fact.put",
        "--type",
        "stack.delete",
    )
    result = openstack(
        "fact", "watch", stack.name, *options, "-f", "value", output=Output(stack.delete_stack)
    )
    assert result.out.splitlines() == ["fact.put nodes/b 2", "stack.delete"]


def test_a_watch_of_one_stack_or_many_shows_an_alarm_by_its_name(
    openstack: Shell, stack: Stack
) -> None:
    stack.put("a", 1)
    since = openstack.json("fact", "context", "show", stack.name)["cursor"]
    alarms = [stack.alarm(name) for name in ("idle", "busy")]
    for alarm in alarms:
        alarm.set({"facts": "a", "present": True})
    eventually(lambda: all(alarm.show().state == "alarm" for alarm in alarms))
    options = ("--since", since, "--alarm", "busy", "--type", "alarm.raised", "-f", "value")
    output = Output(stack.delete_stack)
    assert openstack("fact", "watch", stack.name, *options, output=output).out.splitlines() == [
        "alarm.raised busy",
        "stack.delete",
    ]
    output = Output(lambda: signal.raise_signal(signal.SIGINT))
    result = openstack("fact", "watch", stack.name, "none", *options, output=output)
    assert result.out.splitlines() == [f"alarm.raised {stack.name} busy"]


def test_a_watch_of_many_stacks_names_them_and_survives_the_deletion_of_one(
    openstack: Shell, stack: Stack, one_worker: ApiServer
) -> None:
    client = connect(one_worker.url)
    other, missing = client.stack(f"{stack.name}-b"), client.stack(f"{stack.name}-c")
    stack.put("a", 1)
    steps = Output(
        stack.delete_stack,
        lambda: other.batch([Put("x", 2), Put("y", 3)]),
        lambda: missing.put("a", 4),
        lambda: signal.raise_signal(signal.SIGINT),
    )
    names = (f"{stack.name}*", "none")
    result = openstack("fact", "watch", *names, "--initial", "-f", "value", output=steps)
    assert (result.status, result.out.splitlines()) == (
        130,
        [
            f"fact.put {stack.name} a 1",
            f"stack.delete {stack.name}",
            f"fact.put {other.name} x 2",
            f"fact.put {other.name} y 3",
            f"fact.put {missing.name} a 4",
        ],
    )
    steps = Output(other.delete_stack, lambda: signal.raise_signal(signal.SIGINT))
    result = openstack("fact", "watch", *names, "--initial", output=steps)
    first, second = map(json.loads, result.out.splitlines())
    found = {each["stack"]: len(each["facts"]) for each in first["snapshot"]["stacks"]}
    assert found == {other.name: 2, missing.name: 1}
    assert second["changes"][0]["stack"] == other.name
    assert "stack.delete" in openstack.refused("fact", "watch", "--type", "none")


def test_the_table_redraws_in_place_and_keeps_a_late_interrupt(
    openstack: Shell, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "20")
    stack.put("a", "one")
    output = Output(
        lambda: logging.getLogger("factstore.client.watch").warning("interrupted"),
        lambda: stack.put("b", "two"),
        lambda: signal.raise_signal(signal.SIGINT),
        terminal=True,
    )
    result = openstack("fact", "watch", stack.name, output=output)
    assert result.status == 130
    first, warned, second = result.out.split("\x1b[?7l")[1:]
    assert "one" in first
    assert "0 waiters  interrupted\n" in warned
    assert "interrupted" not in second + result.err
    assert "fact.put b" in second
    assert second.startswith("\x1b[3A\r\x1b[J")  # above the title, the heading and one fact
    assert second.endswith("\n\x1b[?7h")
    assert "terminal" in openstack.refused("fact", "watch", stack.name, "-f", "table", status=2)
