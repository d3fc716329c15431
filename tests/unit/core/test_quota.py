"""Quotas: what is refused, and which writes go one after another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Forbidden, Unavailable
from factstore.core.model import quota
from factstore.core.model.event import (
    DropFact,
    DropStack,
    Mutation,
    PassGate,
    PutFact,
    PutStack,
    Step,
)
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.quota import Gates, Growth, Quota, admit
from factstore.core.model.usage import ProjectUsage, Usage
from factstore.core.operations.fact_plan import Plan, plan_writes
from factstore.core.state.state import State
from tests.unit.core.factories import ALICE, EPOCH, PROJECT, SCOPE, fact, put, stack, state_with

EMPTY = ProjectUsage()
NOTHING = Usage(0, 0)
MANY = 10**9


def planned(state: State, wishes: Sequence[Put | Delete], limit: Quota) -> Plan:
    return plan_writes(
        state, SCOPE, EPOCH, wishes, (), ALICE, now="now", new_stack=stack, quota=limit
    )


@pytest.mark.parametrize(
    ("limit", "growth", "named"),
    [
        (Quota(stacks=3), Growth(stacks=1), "stacks"),
        (Quota(facts=30), Growth(facts=1), "facts"),
        (Quota(bytes=300), Growth(bytes=1), "bytes"),
        (Quota(facts_per_stack=20), Growth(facts=1), "facts_per_stack"),
        (Quota(bytes_per_stack=200), Growth(bytes=1), "bytes_per_stack"),
    ],
)
def test_what_is_full_takes_nothing_more_and_says_so(
    limit: Quota, growth: Growth, named: str
) -> None:
    project, held = ProjectUsage(3, 30, 300), Usage(20, 200)
    with pytest.raises(Forbidden) as refused:
        admit(limit, project, held, growth)
    assert refused.value.code == "quota_exceeded"
    extra = refused.value.extra
    assert extra["quota"] == named
    assert extra["limit"] == extra["used"]
    assert str(extra["limit"]) in refused.value.detail


def test_what_just_fits_is_let_in_through_the_gate() -> None:
    assert admit(Quota(facts=10), ProjectUsage(1, 9, 9), NOTHING, Growth(facts=1))
    assert admit(Quota(stacks=8), ProjectUsage(7), NOTHING, Growth(stacks=1))


def test_far_from_a_quota_nobody_passes_the_gate() -> None:
    assert not admit(Quota(), ProjectUsage(MANY, MANY, MANY), NOTHING, Growth(1, 1, 1))
    assert not admit(Quota(facts=MANY), EMPTY, NOTHING, Growth(facts=1))
    assert not admit(Quota(stacks=MANY, bytes=MANY), EMPTY, NOTHING, Growth(1, 0, 1))


def test_who_is_over_a_quota_may_still_shrink_and_change() -> None:
    over = ProjectUsage(9, 90, 900)
    limit = Quota(1, 10, 100, 10, 100)
    for growth in (Growth(), Growth(facts=-1, bytes=-10), Growth(bytes=0)):
        assert not admit(limit, over, Usage(90, 900), growth)


def test_a_plan_counts_what_it_adds_changes_and_removes() -> None:
    state = state_with(["a", "b"])  # of the values 2 and 3
    limit = Quota(facts=2, bytes=4)
    with pytest.raises(Forbidden, match="3 facts in the project"):
        planned(state, [put("c")], limit)
    with pytest.raises(Forbidden, match="5 bytes in the project"):
        planned(state, [put("a", 22)], limit)
    assert planned(state, [put("c"), Delete("a")], limit).commit.gate is None
    assert planned(state, [put("a", 9)], limit).growth == Growth()
    assert planned(state, [put("a", 22), put("c"), Delete("b")], Quota(bytes=5)).commit.gate == 0
    assert planned(state, [put("a", 2), Delete("nothing")], limit).growth == Growth()
    assert planned(state, [put("a", 22), put("c")], Quota()).commit.gate is None
    grown = planned(state, [put("a", 222), put("c"), Delete("b")], Quota(bytes=99))
    assert (grown.growth, grown.near, grown.commit.gate) == (Growth(bytes=2), False, 0)


def test_values_count_by_their_bytes() -> None:
    with pytest.raises(Forbidden, match="5 bytes"):
        planned(State(), [put("a", "ö")], Quota(bytes=4))  # a, two quotes, two bytes


def test_a_first_write_takes_a_stack_as_well() -> None:
    with pytest.raises(Forbidden, match="1 stacks in the project"):
        planned(State(), [put("a")], Quota(stacks=0))
    assert planned(State(), [put("a")], Quota(stacks=1)).commit.gate == 0


def test_what_a_stack_may_hold_is_not_what_others_hold() -> None:
    state = state_with(["a"])
    other = stack(Scope(PROJECT, "other"), "s2", 3)
    state.apply(Step(3, (PutStack(other), PutFact("s2", fact("x", "long", 3)))))
    limit = Quota(facts_per_stack=2)
    assert planned(state, [put("b")], limit).commit.gate == 0
    with pytest.raises(Forbidden, match="3 facts in the stack"):
        planned(state, [put("b"), put("c")], limit)


def test_the_gate_is_where_it_was_last_passed() -> None:
    state = state_with(["a"])
    state.apply(Step(7, (PassGate(PROJECT, 7),)))
    assert planned(state, [put("b")], Quota(facts=5)).commit.gate == 7
    copy = State(7)
    copy.load(state.mutations())
    assert copy.project_usage(PROJECT) == state.project_usage(PROJECT)
    state.apply(Step(8, (PassGate(PROJECT, 0),)))  # an operator removed it
    assert state.project_usage(PROJECT).gate == 0


STACKS = st.sampled_from(["s1", "s2", "s3"])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("stack"), STACKS, st.just("")),
            st.tuples(st.just("gone"), STACKS, st.just("")),
            st.tuples(st.just("put"), STACKS, st.sampled_from("abcd")),
            st.tuples(st.just("drop"), STACKS, st.sampled_from("abcd")),
        )
    )
)
def test_a_project_holds_what_its_stacks_hold(moves: list[tuple[str, str, str]]) -> None:
    state = State()
    for revision, (move, name, path) in enumerate(moves, 1):
        project = PROJECT if name != "s3" else "other"
        scope = Scope(project, name)
        made: list[Mutation] = {
            "stack": [PutStack(stack(scope, f"id-{name}", revision))],
            "gone": [DropStack(scope)],
            "put": [PutFact(f"id-{name}", fact(path, "x" * revision, revision))],
            "drop": [DropFact(f"id-{name}", path)],
        }[move]
        state.apply(Step(revision, tuple(made)))
    for project in (PROJECT, "other"):
        stacks = state.stacks(project)
        held = [usage for s in stacks if (usage := state.usage(s.scope))]
        contents = [each for s in stacks if (each := state.contents(s.scope))]
        found = state.project_usage(project)
        assert found.stacks == len(stacks)
        assert found.facts == sum(usage.facts for usage in held)
        assert found.bytes == sum(usage.bytes for usage in held)
        assert found.bytes == sum(fact.size for each in contents for fact in each.facts)


def test_one_write_of_a_project_is_in_its_gate_at_a_time() -> None:
    gates = Gates()
    with gates.passing("p", 1):
        with pytest.raises(Unavailable) as refused, gates.passing("p", 0):
            pass
        assert refused.value.code == "contention"
        with gates.passing("another", 0):
            pass
        entered = threading.Event()

        def next_one() -> None:
            with gates.passing("p", 10):
                entered.set()

        thread = threading.Thread(target=next_one)
        thread.start()
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()
    assert not gates._projects  # nothing is left of those who are through


def test_beside_the_gate_no_more_passes_than_a_share_that_is_not_to_be_seen_yet() -> None:
    gates, share = Gates(), Growth(facts=2, bytes=inf)

    def passes(facts: int, seen: int, written_at: int = 0) -> bool:
        with gates.beside("p", Growth(facts=facts, bytes=1), share, seen) as reservation:
            if reservation is not None:
                reservation.revision = written_at
            return reservation is not None

    assert not passes(3, 5)
    assert passes(2, 5)  # it was not written
    assert passes(1, 5, written_at=7)
    assert passes(1, 6, written_at=8)
    assert not passes(1, 6)
    assert passes(1, 7, written_at=9)  # the one of revision 7 is to be seen
    assert not passes(1, 7)
    assert passes(2, 9)
    with gates.beside("p", Growth(facts=2), share, 9):
        assert not passes(1, 9)
        assert passes(0, 9)
    assert not gates._projects


def test_a_write_that_failed_counts_no_longer() -> None:
    gates, share = Gates(), Growth(facts=1)
    with pytest.raises(ZeroDivisionError), gates.beside("p", Growth(facts=1), share, 0):
        raise ZeroDivisionError
    with gates.beside("p", Growth(facts=1), share, 0) as reservation:
        assert reservation is not None


class LateWorker:
    """A process whose state lags behind a database that compares nothing but the gate."""

    def __init__(self, database: list[tuple[int, int]], limit: int) -> None:
        self.database = database  # facts and gate, by revision
        self.quota = Quota(facts=limit)
        self.gates = Gates()
        self.seen = 0

    def write(self, facts: int) -> None:
        """Add, as a writer does; refused on a late state, it gives up."""
        growth = Growth(facts=facts)
        try:
            near = self._admit(growth)
            with self.gates.beside("p", growth, self.quota.share, self.seen) as reservation:
                passing = near or reservation is None
                if passing:
                    self.seen = len(self.database) - 1
                    self._admit(growth)
                held, gate = self.database[-1]
                if self.database[self.seen][1] == gate:
                    revision = len(self.database)
                    self.database.append((held + facts, revision if passing else gate))
                    if reservation is not None:
                        reservation.revision = revision
        except Forbidden:
            return

    def _admit(self, growth: Growth) -> bool:
        held = self.database[self.seen][0]
        return admit(self.quota, ProjectUsage(1, held), NOTHING, growth)


@pytest.mark.parametrize("seed", range(100))
def test_workers_that_see_each_other_late_never_exceed_a_quota(seed: int) -> None:
    chance = Random(seed)
    limit = chance.randint(0, 3000)
    database = [(0, 0)]
    workers = [LateWorker(database, limit) for _ in range(quota.WORKERS)]
    for _ in range(2000):
        worker = chance.choice(workers)
        if chance.random() < 0.02:
            worker.seen = chance.randint(worker.seen, len(database) - 1)
        worker.write(chance.randint(1, max(1, limit // 150)))
        assert database[-1][0] <= limit
    for worker in workers:
        worker.seen = len(database) - 1
        worker.write(limit - database[-1][0] or 1)
    assert database[-1][0] == limit
