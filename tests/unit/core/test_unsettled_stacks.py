"""A stack is evaluated after a revision only if something can follow from it, and misses nothing.

It is compared with a state that evaluates each stack after each revision.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factstore.core.model.alarm import Alarm
from factstore.core.model.event import (
    DropFact,
    DropRecord,
    DropStack,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.member import Applied, Member
from factstore.core.model.read_set import ReadSet
from factstore.core.model.record import RecordKey
from factstore.core.model.turn import Turn
from factstore.core.model.waiter import Timer, Waiter
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State
from tests.unit.core.factories import NOW, SCOPE, fact, stack, state_with
from tests.unit.core.records import LEASE, alarm, member, waiter

PATHS = ["a", "nodes/m1/ip", "configs/m1/c", "results/m1/c"]
CONDITIONS = [
    {"facts": "a", "present": True},
    {"facts": "nodes/*/ip", "count": 1, "present": True},
    {"facts": "results/*/c", "equals": 1},
    {"converged": {}},
    {"every_member": {"fact": "ip", "present": True, "at_least": 1}},
]
ACTIONS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(PATHS)),
    st.tuples(st.just("drop"), st.sampled_from(PATHS)),
    st.tuples(
        st.sampled_from(["join", "depart", "expire", "apply"]), st.sampled_from(["m1", "m2"])
    ),
    st.tuples(st.just("read"), st.sampled_from(["a", "nodes/*/ip"])),
    st.tuples(st.sampled_from(["wait", "raise"]), st.sampled_from(CONDITIONS)),
    st.tuples(st.sampled_from(["time", "queue", "leave", "recreate"]), st.none()),
)


def mutations(action: str, what: object, revision: int, state: State) -> list[Mutation]:
    """Return the mutations of an action; those that do nothing are allowed."""
    name = str(what)
    match action:
        case "put":
            return [PutFact("s1", fact(name, revision, revision, created=revision))]
        case "drop":
            return [DropFact("s1", name)]
        case "join":
            return [PutRecord("s1", member(name, revision))]
        case "depart":
            gone = member(name, revision)
            return [PutRecord("s1", replace(gone, state="departed", reason="left"))]
        case "expire":
            return [DropRecord("s1", RecordKey(Member, name))]
        case "apply":
            seen = state.revision
            return [PutRecord("s1", Applied(name, seen, revision=revision, lease=LEASE))]
        case "read":
            return [PutRecord("s1", ReadSet.of("m1", [name]))]
        case "wait":
            made = PutRecord("s1", waiter("w", revision, what, timeout=60))
            return [made, PutRecord("s1", Timer("w", lease=5))]
        case "time":
            return [DropRecord("s1", RecordKey(Timer, "w"))]
        case "raise":
            return [PutRecord("s1", alarm("al", revision, condition=what))]
        case "queue":
            turn = Turn("q", "m1", 1, NOW, "alice", "req-t", revision=revision, lease=7)
            return [PutRecord("s1", turn)]
        case "leave":
            return [DropRecord("s1", RecordKey(Turn, "q/m1"))]
        case _:
            return [DropStack(SCOPE), PutStack(stack(created=revision))]


def found(each: StackState) -> tuple[object, ...]:
    """Return what was found at the end of revisions."""
    waiters, alarms, convergence = each.pending_waiters, each.alarms, each.convergence
    return (
        waiters.outcomes,
        waiters.advanced,
        alarms.decisions,
        each.needs_write,
        convergence.target,
        convergence.lagging,
        convergence.marker,
    )


@settings(max_examples=3 * settings().max_examples)
@given(st.lists(st.lists(ACTIONS, min_size=1, max_size=3), max_size=25))
def test_an_evaluation_that_is_left_out_would_have_found_nothing(
    steps: list[list[tuple[str, object]]],
) -> None:
    usual, careful = state_with(), state_with()
    for number, actions in enumerate(steps, start=usual.revision + 1):
        made = [each for action in actions for each in mutations(*action, number, usual)]
        for stack_state in careful.all_stacks():
            stack_state.unsettled = True
        step = Step(number, tuple(made))
        assert usual.apply(step) == careful.apply(step)
        assert [*map(found, usual.all_stacks())] == [*map(found, careful.all_stacks())]
        assert {each.stack.id for each in usual.stacks_needing_write()} == {
            each.stack.id for each in careful.stacks_needing_write()
        }


def test_a_fact_from_which_nothing_follows_is_only_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    state = state_with()
    state.apply(Step(10, (PutFact("s1", fact("a", 1, 10)),)))
    evaluated: list[int] = []
    monkeypatch.setattr(StackState, "evaluate", lambda self, revision: evaluated.append(revision))
    result = state.apply(Step(11, (PutFact("s1", fact("a", 2, 11)),)))
    assert evaluated == []
    assert result.touched == {SCOPE: frozenset()}
    state.apply(Step(12, (PutRecord("s1", member("m1", 12)),)))
    assert evaluated == [12]
    assert state.records(SCOPE, Alarm) == state.records(SCOPE, Waiter) == []
