"""Each kind of condition on a changing stack, one case at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from factstore.core.model.comparison import Test as Demand
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Fact
from tests.unit.core.factories import fact
from tests.unit.core.naive_conditions import (
    World,
    member,
    signal,
)
from tests.unit.core.tracking import TrackedWaiter


def tracked(success: Any, failure: Any = None, world: World | None = None) -> TrackedWaiter:
    return TrackedWaiter(Definition.of({"success": success, "failure": failure}), world or World())


EVERY = {"every_member": {"group": "compute", "fact": "s", "equals": "up"}}


def test_a_fact_may_exist_before_its_member() -> None:
    tracker = tracked(EVERY)
    tracker.fact("nodes/c1/s", fact("nodes/c1/s", "up"))
    assert tracker.verdict() is None
    tracker.member("c1", member("c1"))
    assert tracker.verdict() == "met"


def test_members_count_from_their_join_to_their_departure() -> None:
    tracker = tracked(EVERY)
    tracker.member("c1", member("c1"))
    tracker.fact("nodes/c1/s", fact("nodes/c1/s", "up"))
    tracker.member("c2", member("c2", state="joining"))
    assert tracker.verdict() is None
    assert tracker.progress().missing == ("c2",)
    tracker.member("c2", member("c2", state="departed"))
    assert tracker.verdict() == "met"
    tracker.member("c1", None)
    assert tracker.verdict() is None, "nobody is left, and one is needed"


@pytest.mark.parametrize("leaf", ["every_member", "converged"])
def test_a_draining_member_counts_only_if_the_condition_includes_it(leaf: str) -> None:
    inner: dict[str, object] = {"every_member": {"fact": "s", "equals": "up"}, "converged": {}}[
        leaf
    ]
    without = tracked({leaf: inner})
    included = tracked({leaf: {**inner, "include_draining": True}})
    for tracker in (without, included):
        tracker.member("c1", member("c1"))
        tracker.member("c2", member("c2", state="ready"))
        tracker.fact("nodes/c1/s", fact("nodes/c1/s", "up"))
        tracker.lagging("c2", True)
        assert tracker.verdict() is None
        tracker.member("c2", member("c2", state="draining"))
    assert (without.verdict(), without.progress().needed) == ("met", 1)
    assert (included.verdict(), included.progress().missing) == (None, ("c2",))
    without.member("c1", member("c1", state="draining"))
    assert without.verdict() is None, "no member counts, and one is needed"
    without.member("c1", member("c1", state="ready"))
    assert without.verdict() == "met"


def test_a_member_that_changes_its_group_counts_in_the_new_one() -> None:
    tracker = tracked(EVERY)
    tracker.member("c1", member("c1", "head"))
    tracker.fact("nodes/c1/s", fact("nodes/c1/s", "up"))
    assert tracker.verdict() is None
    tracker.member("c1", member("c1", "compute"))
    assert tracker.verdict() == "met"


def test_a_stack_has_converged_when_no_member_lags() -> None:
    tracker = tracked({"converged": {}})
    assert tracker.verdict() is None, "there are no members"
    for name in ("c1", "c2"):
        tracker.member(name, member(name))
    assert tracker.verdict() == "met"
    tracker.lagging("c1", True)
    assert tracker.progress().missing == ("c1",)
    tracker.lagging("c1", False)
    assert tracker.verdict() == "met"


def test_a_signal_that_is_replaced_changes_its_vote() -> None:
    tracker = tracked({"signals": 2})
    tracker.signal("w/1", signal("1"))
    tracker.signal("w/1", signal("1"))
    assert tracker.verdict() is None, "one sender is one"
    tracker.signal("w/2", signal("2", "FAILURE", "disk full"))
    assert tracker.verdict() == "failed"
    assert tracker.progress().failing == ("2",)
    tracker.signal("w/2", signal("2"))
    assert tracker.verdict() == "met"


def test_a_failure_signal_is_ignored_by_a_waiter_without_signals() -> None:
    tracker = tracked({"facts": "a", "present": True})
    tracker.signal("w/1", signal("1", "FAILURE"))
    assert tracker.verdict() is None
    assert tracker.progress().failing == ()


def test_failure_precedes_success() -> None:
    tracker = tracked({"facts": "a", "present": True}, {"facts": "b", "present": True})
    tracker.fact("a", fact("a"))
    assert tracker.verdict() == "met"
    tracker.fact("b", fact("b"))
    assert tracker.verdict() == "failed"


def test_only_the_alternatives_that_are_met_are_named_as_failing() -> None:
    tracker = tracked(
        {"signals": 1},
        {"any": [{"facts": "x/*", "present": True, "count": 2}, {"facts": "a", "present": True}]},
    )
    tracker.fact("x/1", fact("x/1"))
    assert tracker.progress().failing == ("x/1",), "it counts, but does not suffice"
    assert tracker.verdict() is None
    tracker.fact("a", fact("a"))
    assert tracker.progress().failing == ("a",)
    assert tracker.reason() == "the failure condition is met: a"


def test_lists_are_sorted_and_limited_to_a_hundred() -> None:
    world = World()
    for at in range(300):
        world.facts[f"nodes/n{at}/s"] = fact(f"nodes/n{at}/s", "down")
        world.members[f"n{at}"] = member(f"n{at}")
        world.lagging[f"n{at}"] = True
    down = {"facts": "nodes/*/s", "equals": "down", "count": 300}
    parts = [{"facts": "nodes/*/s", "equals": "up", "count": 9}, EVERY, {"converged": {}}]
    for success in (*parts, {"all": parts}):
        progress = tracked(success, down, world).progress()
        assert len(progress.missing) == len(progress.failing) == 100
        assert progress.missing == tuple(sorted(progress.missing))
        assert progress.failing == tuple(sorted(world.facts)[:100])


@pytest.mark.parametrize(
    ("move", "reason"),
    [
        (lambda t: None, "timed out with 0 of 3; missing: nodes/*/s, signals"),
        (
            lambda t: [t.fact(f"nodes/{n}/s", fact(f"nodes/{n}/s", 1)) for n in "abcdefg"],
            (
                "timed out with 0 of 3; missing: "
                "nodes/a/s, nodes/b/s, nodes/c/s, nodes/d/s, nodes/e/s and others"
            ),
        ),
        (
            lambda t: t.fact("nodes/c1/s", fact("nodes/c1/s", "down")),
            "the failure condition is met: nodes/c1/s",
        ),
        (
            lambda t: t.signal("w/1", signal("c7", "FAILURE", "no disk")),
            "signal c7 failed: no disk",
        ),
        (lambda t: t.signal("w/1", signal("c7", "FAILURE")), "signal c7 failed"),
        (
            lambda t: [
                t.signal("w/1", signal("c1", "FAILURE", "late", at=9)),
                t.signal("w/2", signal("c2", "FAILURE", "first", at=8)),
            ],
            "signal c2 failed: first",
        ),
        (
            lambda t: [
                t.signal("w/1", signal("c1")),
                t.fact("nodes/c1/s", fact("nodes/c1/s", "up")),
                t.fact("nodes/c2/s", fact("nodes/c2/s", "up")),
            ],
            "the success condition is met: 3 of 3",
        ),
    ],
)
def test_a_verdict_has_its_reason(move: Callable[[TrackedWaiter], Any], reason: str) -> None:
    tracker = tracked(
        {"all": [{"facts": "nodes/*/s", "equals": "up", "count": 2}, {"signals": 1}]},
        {"facts": "nodes/*/s", "equals": "down"},
    )
    move(tracker)
    assert tracker.reason() == reason


class Unread(Mapping[str, Any]):
    """A mapping that must not be read."""

    def __getitem__(self, key: str) -> Any:
        raise AssertionError(f"{key} was looked up")

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("everything was looked at")

    def __len__(self) -> int:
        raise AssertionError("everything was counted")


@pytest.mark.parametrize("others", [0, 10, 2000])
def test_the_cost_of_a_change_does_not_grow_with_the_stack(
    others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    for at in range(others):
        world.facts[f"nodes/n{at}/s"] = fact(f"nodes/n{at}/s", "up")
        world.facts[f"x/{at}"] = fact(f"x/{at}", "up")
        world.members[f"n{at}"] = member(f"n{at}")
        world.lagging[f"n{at}"] = True
    success = [{"facts": "x/*", "present": True}, {"facts": "a", "present": True}, EVERY]
    tracker = tracked(
        {"all": [*success, {"converged": {}}]}, {"facts": "*/*/s", "equals": 1}, world
    )
    for name in ("facts", "members", "lagging", "signals"):
        setattr(world, name, Unread())

    tests: list[str] = []
    judge = Demand.passes

    def counted(test: Demand, found: Fact | None) -> bool:
        tests.append(found.path if found else "")
        return judge(test, found)

    monkeypatch.setattr(Demand, "passes", counted)
    tracker.fact("nodes/c1/s", fact("nodes/c1/s", "up"))
    assert tests == ["nodes/c1/s"] * 2
    tracker.fact("x/z", fact("x/z"))
    tracker.fact("x/z", None)
    tracker.fact("a", fact("a"))
    tracker.fact("elsewhere", fact("elsewhere"))
    tracker.member("c1", member("c1"))
    tracker.lagging("c1", True)
    assert tracker.verdict() is None
    tracker.progress()
    assert tests[2:] == ["x/z", "", "a"]


@pytest.mark.parametrize("value", [None, "secret"])
def test_a_sensitive_fact_equals_no_value_and_progress_marks_it(value: object) -> None:
    tracker = tracked({"facts": "password", "equals": value})
    tracker.fact("password", fact("password", None, sealed="1.x"))
    assert tracker.verdict() is None
    assert tracker.progress().missing == ("password (sensitive)",)
    assert "missing: password (sensitive)" in tracker.reason()
    tracker.fact("password", fact("password", value))
    assert tracker.verdict() == "met"


def test_a_waiter_can_wait_for_the_presence_of_a_sensitive_fact() -> None:
    tracker = tracked({"facts": "password", "present": True})
    tracker.fact("password", fact("password", None, sealed="1.x"))
    assert tracker.verdict() == "met"


@pytest.mark.parametrize("test", [{"at_least": 0}, {"in": ["x"]}, {"match": "*"}])
def test_a_sensitive_fact_passes_no_comparison(test: dict[str, Any]) -> None:
    tracker = tracked({"facts": "password", **test})
    tracker.fact("password", fact("password", None, sealed="1.x"))
    assert tracker.verdict() is None
    assert tracker.progress().missing == ("password (sensitive)",)
