"""The table of a watch and the progress bar, as text."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from factstore.client import Event, Snapshot, StackContents, StacksSnapshot
from factstore.client.records import Fact
from factstore.osc.progress import Progress, progress_line
from factstore.osc.stack_view import StackView, _width
from factstore.osc.stacks_view import StacksView

MEMBER = {
    "name": "c1",
    "group": "compute",
    "state": "ready",
    "generation": "g",
    "attributes": {},
    "ttl": 30,
    "revision": 1,
    "version": 1,
    "joined_at": "2026-01-01T12:00:00Z",
    "updated_at": "2026-01-01T12:00:01Z",
    "updated_by": "anybody",
}
WAITER = {
    "name": "w",
    "state": "met",
    "reason": "1 of 1",
    "revision": 1,
    "success": {},
    "failure": None,
    "timeout": 1,
}


def fact(path: str, value: Any, revision: int, **more: Any) -> dict[str, Any]:
    return {
        "path": path,
        "value": value,
        "kind": "observed",
        "revision": revision,
        "version": 1,
        "etag": f"e.{revision}",
        "created_at": "2026-01-01T12:00:00Z",
        "updated_at": "2026-01-01T12:34:56Z",
        "updated_by": "anybody",
        **more,
    }


def event(*changes: dict[str, Any]) -> Event:
    return Event.parse({"cursor": "e.1", "changes": changes})


def view_of(*facts: dict[str, Any]) -> StackView:
    view = StackView("slurm")
    view.apply(Snapshot(tuple(map(Fact.parse, facts)), "e.1"))
    return view


def plain(lines: list[str]) -> list[str]:
    return [re.sub(r"\x1b\[\d*m", "", line) for line in lines]


def test_events_change_facts_members_and_waiters() -> None:
    view = view_of(fact("a", 1, 1), fact("b", "two", 2))
    view.apply(
        event(
            {"type": "fact.put", "path": "c", "fact": fact("c", {"x": []}, 3)},
            {"type": "fact.delete", "path": "a"},
            {"type": "member.join", "name": "c1", "member": MEMBER},
            {"type": "waiter.met", "name": "w", "waiter": WAITER},
        )
    )
    lines = view.lines(80, 24)
    assert plain(lines) == [
        "slurm: 2 facts, 1 member, 1 waiter  waiter.met w and 3 more",
        "Path  Value      Member  Updated",
        "b     two                12:34:56",
        'c     {"x": []}          12:34:56',
        "",
        "Member  Group    State  Updated",
        "c1      compute  ready  12:00:01",
        "",
        "Waiter  State  Reason",
        "w       met    1 of 1",
    ]
    assert "\x1b[7mc " in lines[3]
    assert not lines[2].startswith("\x1b")
    view.apply(event({"type": "member.expire", "name": "c1"}))
    departed = {**MEMBER, "state": "departed"}
    view.apply(event({"type": "member.depart", "name": "c1", "member": departed}))
    assert not any("compute" in line for line in view.lines(80, 24))


def test_many_stacks_have_a_line_each_and_the_newest_are_shown() -> None:
    def change(stack: str, kind: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "project_id": "p", "stack": stack, **more}

    view = StacksView()
    facts = tuple(map(Fact.parse, (fact("a", 1, 1), fact("b", 2, 2))))
    stacks = [StackContents("p", f"s{n}", facts) for n in range(4)]
    view.apply(StacksSnapshot(tuple(stacks), "e.1"))
    assert plain(view.lines(80, 24))[0] == "4 stacks: 8 facts, 0 members"
    view.apply(event(change("s0", "stack.delete")))
    joined = change("s2", "member.join", name="c1", member=MEMBER)
    gone = change("s2", "fact.delete", path="a")
    view.apply(event(joined, gone, change("new", "fact.put", path="c", fact=fact("c", 1, 3))))
    lines = view.lines(80, 24)
    assert plain(lines) == [
        "4 stacks: 6 facts, 1 member  new: fact.put c and 2 more",
        "Stack  Facts  Members  Waiters  Updated   Last change",
        "new    1      0        0        12:34:56  fact.put c",
        "s1     2      0        0        12:34:56",
        "s2     1      1        0        12:00:01  fact.delete a",
        "s3     2      0        0        12:34:56",
    ]
    assert [line.startswith("\x1b[7m") for line in lines[2:]] == [True, False, True, False]
    assert plain(view.lines(80, 5)) == [
        "4 stacks: 6 facts, 1 member  new: fact.put c and 2 more",
        "Stack  Facts  Members  Waiters  Updated   Last change",
        "new    1      0        0        12:34:56  fact.put c",
        "s2     1      1        0        12:00:01  fact.delete a",
        "… and 2 stacks that changed earlier",
    ]
    elsewhere = change("s1", "fact.delete", path="a") | {"project_id": "q"}
    view.apply(event(elsewhere))
    assert "p/s1" in view.lines(80, 24)[3]


def test_the_view_fits_the_terminal_and_keeps_the_newest_facts() -> None:
    view = view_of(*(fact(f"nodes/{n:02}", "x" * 500, 100 - n) for n in range(50)))
    for columns, rows in ((40, 10), (10, 5), (200, 24)):
        lines = plain(view.lines(columns, rows))
        assert len(lines) <= rows
        assert all(_width(line) <= columns for line in lines)
    newest = plain(view.lines(80, 10))
    assert newest[2].startswith("nodes/00 ")
    assert newest[-1] == "… and 43 facts that changed earlier"


def test_values_cannot_control_the_terminal_and_wide_ones_are_measured() -> None:
    view = view_of(
        fact("a", "\x1b[2J\u202e\n", 1), fact("b", "日本", 2), fact("c", None, 3, sensitive=True)
    )
    assert [line.split()[1] for line in plain(view.lines(80, 24))[2:]] == [
        "\\x1b[2J\\u202e\\n",
        "日本",
        "(sensitive)",
    ]
    assert _width("日本e\u0301") == 5


@pytest.mark.parametrize(
    ("satisfied", "needed", "missing", "line"),
    [
        (0, 0, [], f"[{'#' * 20}] 0/0"),
        (1, 3, ["a", "b"], "[######..............] 1/3  missing: a, b"),
        (3, 2, [], f"[{'#' * 20}] 3/2"),
        (0, 12, [str(n) for n in range(12)], "missing: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"),
    ],
)
def test_the_progress_line(satisfied: int, needed: int, missing: list[str], line: str) -> None:
    assert line in progress_line(satisfied, needed, missing)


def test_no_progress_is_shown_without_a_terminal() -> None:
    output = io.StringIO()
    progress = Progress(output)
    progress.report(1, 2, ["a"])
    progress.clear()
    assert output.getvalue() == ""
