"""The commands of actions and of the timeline, against a service; the test reports for the members."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from factstore.client import Conflict, NotFound, Stack
from tests.eventually import eventually
from tests.osc.shell import Shell


@contextmanager
def members(stack: Stack, **states: str) -> Iterator[None]:
    """Let members run the next action, each with a result of its own; ``none`` for no report."""
    for name in states:
        stack.member(name).join("compute", ttl=300)
    before = {each.id for each in stack.actions()}

    def work() -> None:
        def new() -> list[str]:
            return [each.id for each in stack.actions() if each.id not in before]

        eventually(lambda: bool(new()))
        action = stack.action(new()[0])
        for name, state in states.items():
            if state != "none":
                action.report(name, "in_progress", message="half", percent=50)
                code = 0 if state == "complete" else 3
                with suppress(Conflict):  # an action with a short time limit may have ended
                    action.report(name, state, status_code=code, stdout=f"up on {name}\n")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)


def test_an_action_is_run_on_a_group_listed_shown_and_deleted(
    openstack: Shell, stack: Stack
) -> None:
    name = stack.name
    with members(stack, c1="complete", c2="complete"):
        rows = openstack.json(
            *("fact", "action", "run", name, "script", "--group", "compute"),
            *("--command", "uptime", "--input", "n=1", "--max-parallel", "1"),
        )
    assert rows == [
        {"Member": m, "State": "complete", "Status Code": 0, "Output": f"up on {m}"}
        for m in ("c1", "c2")
    ]
    (listed,) = openstack.json("fact", "action", "list", name)
    assert (listed["Target"], listed["Members"]) == ("group compute", {"complete": 2})
    shown = openstack.json("fact", "action", "show", name, listed["ID"], "--wait")
    assert (shown["config"], shown["inputs"], shown["max_parallel"]) == ("uptime", {"n": 1}, 1)
    assert [each["stdout"] for each in shown["results"]] == ["up on c1\n", "up on c2\n"]
    assert openstack.ok("fact", "action", "delete", name, listed["ID"], "none") == ""
    assert openstack.json("fact", "action", "list", name) == []


@pytest.mark.parametrize(
    ("states", "timeout", "status"),
    [({"c1": "complete", "c2": "failed"}, "60", 1), ({"c1": "complete", "c2": "none"}, "2", 2)],
)
def test_the_exit_status_of_a_run_reports_its_outcome(
    openstack: Shell, stack: Stack, states: dict[str, str], timeout: str, status: int
) -> None:
    command = ("fact", "action", "run", stack.name, "script", "--group", "compute")
    with members(stack, **states):
        ran = openstack(*command, "--timeout", timeout, "-f", "json")
    assert ran.status == status
    second = json.loads(ran.out)[1]["State"]
    assert second == {1: "failed", 2: "timed_out"}[status]
    if status == 1:
        assert openstack(*command, "--timeout", "0").status == 1
        missing = ("fact", "action", "run", stack.name, "script", "--member", "none")
        assert "has not joined" in openstack(*missing).err
        assert openstack("fact", "action", "run", stack.name, "script").status == 2
        assert openstack("fact", "action", "show", stack.name, "none").status == 1


def test_an_action_is_cancelled(openstack: Shell, stack: Stack) -> None:
    stack.member("c1").join("compute", ttl=300)
    begun = openstack.json(
        "fact", "action", "run", stack.name, "script", "--member", "c1", "--no-wait"
    )
    assert begun[0]["State"] == "due"
    (action,) = stack.actions()
    assert openstack.ok("fact", "action", "cancel", stack.name, action.id) == ""
    assert openstack("fact", "action", "show", stack.name, action.id, "--wait").status == 1
    assert openstack("fact", "action", "cancel", stack.name, "none").status == 1
    with pytest.raises(NotFound):
        stack.action("none").show()


def test_the_timeline_lists_the_runs_of_each_member_in_order(
    openstack: Shell, stack: Stack
) -> None:
    for name in ("c0", "c1"):
        stack.member(name).join("compute", ttl=300)
    ids = {
        key: stack.configuration(*key.split("/")).put("script").id
        for key in ("c1/b", "c1/a", "c0/x")
    }
    for key, state in (("c1/b", "complete"), ("c0/x", "in_progress")):
        configuration = stack.configuration(*key.split("/"))
        configuration.report(ids[key], "in_progress", message=f"{'long ' * 40}\x1b[31m")
        if state == "complete":
            configuration.report(ids[key], state, message="done")
    action = stack.action(stack.run_action("script", member="c1").id)
    action.report("c1", "complete")
    rows = openstack.json("fact", "config", "timeline", stack.name)
    assert [(r["Member"], r["Name"], r["Kind"], r["State"]) for r in rows] == [
        ("c0", "x", "configuration", "in_progress"),
        ("c1", "b", "configuration", "complete"),
        ("c1", action.id, "action", "complete"),
        ("c1", "a", "configuration", "due"),
    ]
    assert rows[1]["Seconds"] >= 0
    assert rows[1]["Timeline"]["begin"] == 0
    assert rows[0]["Timeline"]["end"] is None
    assert rows[3]["Start"] is rows[3]["Timeline"] is None
    text = openstack.ok("fact", "config", "timeline", stack.name)
    assert "#" in text
    assert "~" in text
    assert "\x1b" not in text
    assert "long " * 20 not in text
    only = openstack.json(
        "fact", "config", "timeline", stack.name, "--member", "c1", "--no-actions"
    )
    assert [row["Name"] for row in only] == ["b", "a"]
    shortened = openstack.ok("fact", "config", "list", stack.name)
    assert "long " * 20 not in shortened
    (whole, *_) = (
        row for row in openstack.json("fact", "config", "list", stack.name) if row["Message"]
    )
    assert len(whole["Message"]) > 100 or whole["Message"] == "done"
