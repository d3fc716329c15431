"""Trackers of waiters' conditions on a changing stack, compared with a naive evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.comparison import Test as Demand
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Fact
from factstore.core.state.stack_conditions import StackConditions
from tests.unit.core.conditions import VALUES, documents
from tests.unit.core.factories import fact
from tests.unit.core.naive_conditions import (
    Changed,
    World,
    bad_signals,
    failing_names,
    far,
    holds,
    member,
    naive_verdict,
    signal,
)
from tests.unit.core.tracking import TrackedWaiter

NAMES = ["c1", "c2", "h1"]
PATHS = ["a", "x/a", "x/b", "nodes/s", "nodes/gone/s", "nodes/c1/s/t", "nodes/c1", "q/c1/z"]
PATHS += [f"nodes/{name}/s" for name in NAMES] + [f"nodes/{name}/s/t" for name in NAMES]
IDS = ["1", "2", "3", "4"]


changes: st.SearchStrategy[Changed] = st.one_of(
    st.builds(
        lambda path, value: ("fact", path, None if value is None else fact(path, value)),
        st.sampled_from(PATHS),
        st.none() | st.sampled_from(VALUES),
    ),
    st.builds(
        lambda path: ("fact", path, fact(path, None, sealed="1.x")),
        st.sampled_from(PATHS),
    ),
    st.builds(
        lambda name, group, state: ("member", name, state and member(name, group, state)),
        st.sampled_from(NAMES),
        st.sampled_from(["compute", "head"]),
        st.sampled_from([None, "joining", "ready", "draining", "departed"]),
    ),
    st.builds(lambda name, lags: ("lagging", name, lags), st.sampled_from(NAMES), st.booleans()),
    st.builds(
        lambda name, status, at: (
            "signal",
            signal(name).record_key.name,
            status and signal(name, status, f"why {name}", at),
        ),
        st.sampled_from(IDS),
        st.sampled_from(["SUCCESS", "SUCCESS", "FAILURE", None]),
        st.integers(1, 5),
    ),
)

revisions = st.lists(
    st.lists(changes, min_size=1, max_size=6, unique_by=lambda change: change[:2]), max_size=12
)

definitions = documents.map(Definition.of)


def played(
    history: list[list[Changed]], definition: Definition
) -> Iterator[tuple[World, TrackedWaiter]]:
    """Yield the world after each revision, and the tracker that was updated with all of them."""
    world = World()
    tracker = TrackedWaiter(definition, world)
    yield world, tracker
    for revision in history:
        for change in revision:
            world.change(*change)
            world.tell(tracker, *change)
        yield world, tracker


@given(definitions, revisions, st.integers(0, 12))
def test_an_updated_tracker_equals_a_new_one(
    definition: Definition, history: list[list[Changed]], start: int
) -> None:
    """The tracker starts with an empty stack, or with the stack after *start* revisions."""
    late: TrackedWaiter | None = None
    for at, (world, tracker) in enumerate(played(history, definition)):
        if at == start:
            late = TrackedWaiter(definition, world)
        elif late is not None:
            for change in history[at - 1]:
                world.tell(late, *change)
        new = TrackedWaiter(definition, world)
        for moved in (tracker, late or tracker):
            assert (moved.verdict(), moved.progress()) == (new.verdict(), new.progress())
            assert moved.reason() == new.reason()


@given(definitions, revisions)
def test_the_verdict_is_correct_at_each_revision(
    definition: Definition, history: list[list[Changed]]
) -> None:
    for world, tracker in played(history, definition):
        assert tracker.verdict() == naive_verdict(world, definition)


@given(st.lists(definitions, min_size=2, max_size=4), revisions, st.integers(0, 6), st.booleans())
def test_waiters_of_a_stack_share_counters_and_each_verdict_is_correct(
    several: list[Definition], history: list[list[Changed]], turn: int, prepared: bool
) -> None:
    """At one revision the first waiter is replaced by another of the last definition.

    Its counters count the stack at that revision, or at the one before and then the changes.
    """
    world, conditions = World(), StackConditions("s1")
    waiters = {
        TrackedWaiter(definition, world, conditions, f"w{at}"): definition
        for at, definition in enumerate(several)
    }
    known = {waiter: (waiter.verdict(), waiter.progress()) for waiter in waiters}
    for at, revision in enumerate(history):
        if at == turn:
            first = next(iter(waiters))
            conditions.release(first.key)
            del waiters[first], known[first]
            if prepared:
                conditions.take_changed()
                conditions.prepare(several[-1].leaves(), world, lambda: None)
            else:
                waiters[TrackedWaiter(several[-1], world, conditions, "new")] = several[-1]
        if not (prepared and at == turn):
            conditions.take_changed()
        signalled = False
        for kind, name, what in revision:
            world.change(kind, name, what)
            if kind == "signal":
                signalled = True
                for waiter in waiters:
                    waiter.signal(name, what)
            else:
                world.tell(next(iter(waiters)), kind, name, what)
        if prepared and at == turn:
            waiters[TrackedWaiter(several[-1], world, conditions, "new")] = several[-1]
        changed = conditions.take_changed()
        for waiter, definition in waiters.items():
            assert waiter.verdict() == naive_verdict(world, definition)
            found = waiter.verdict(), waiter.progress()
            assert waiter.key in changed or signalled or found == known.get(waiter, found)
            known[waiter] = found
    for waiter in waiters:
        conditions.release(waiter.key)
    conditions.take_changed()
    assert not conditions.used()
    assert not vars(conditions)["_shared"]
    assert not conditions.patterns
    assert not vars(conditions)["_of_groups"]


@given(definitions, revisions)
def test_the_progress_is_correct_at_each_revision(
    definition: Definition, history: list[list[Changed]]
) -> None:
    for world, tracker in played(history, definition):
        progress = tracker.progress()
        satisfied, needed, missing = far(world, definition.success)
        assert (progress.satisfied, progress.needed) == (satisfied, needed)
        assert progress.missing == tuple(sorted(missing))
        failing = failing_names(world, definition.failure) | bad_signals(world, definition)
        assert progress.failing == tuple(sorted(failing))
        assert (satisfied == needed) == holds(world, definition.success)


@given(definitions, st.lists(changes, max_size=8, unique_by=lambda c: c[:2]), st.randoms())
def test_changes_of_one_revision_may_arrive_in_any_order(
    definition: Definition, revision: list[Changed], random: Any
) -> None:
    world = World()
    one, other = TrackedWaiter(definition, world), TrackedWaiter(definition, world)
    for change in revision:
        world.change(*change)
    for change in revision:
        world.tell(one, *change)
    random.shuffle(revision)
    for change in revision:
        world.tell(other, *change)
    assert (one.verdict(), one.progress()) == (other.verdict(), other.progress())


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
