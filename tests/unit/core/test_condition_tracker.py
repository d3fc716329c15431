"""Trackers of waiters' conditions on a changing stack, compared with a naive evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.definition import Definition
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
