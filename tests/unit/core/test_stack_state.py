"""One stack after each mutation: its contents, and the changes for watchers."""

from __future__ import annotations

from dataclasses import replace

from factstore.core.model.event import (
    DeletionMarker,
    DropStack,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.member import Applied, Member
from factstore.core.model.record import RecordKey
from factstore.core.model.waiter import Timer
from factstore.core.state.stack_state import StackState
from factstore.core.state.state import State
from tests.unit.core.factories import SCOPE, fact, stack
from tests.unit.core.records import LEASE, member, signal, stack_state, waiter


def usage(of: StackState) -> tuple[int, int]:
    assert (of.project.facts, of.project.bytes) == (of.count, of.bytes)
    return of.count, of.bytes


# Facts


def test_a_bound_fact_is_found_by_its_lease_until_it_is_unbound() -> None:
    it = stack_state()
    it.put(fact("a", 1, 2, member="c1", lease=LEASE))
    it.put(fact("b", 1, 3, member="c1", lease=LEASE))
    assert it.leases.paths == {LEASE: {"a", "b"}}
    it.put(fact("a", 1, 4))
    assert it.leases.paths == {LEASE: {"b"}}
    it.put(fact("b", 1, 5, member="c1", lease=LEASE + 1))
    assert it.leases.paths == {LEASE + 1: {"b"}}
    it.drop("b", 6)
    assert it.leases.paths == {}


def test_facts_except_results_move_the_target() -> None:
    it = stack_state()
    it.put(fact("a", 1, 2))
    it.put(fact("results/a", 1, 3))
    assert (it.target, it.changed, it.convergence.last_deletion) == (2, 3, 0)
    it.drop("results/a", 4)
    assert (it.target, it.changed, it.convergence.last_deletion) == (2, 4, 0)
    it.drop("a", 5)
    assert (it.target, it.changed, it.convergence.last_deletion) == (5, 5, 5)
    it.put(fact("resultsish", 1, 6))
    assert it.target == 6


def test_dropping_a_missing_record_changes_nothing() -> None:
    it = stack_state()
    assert it.drop("a", 5) is None
    assert it.drop_record(RecordKey(Member, "a"), 5) is None
    assert (it.target, it.changed, it.convergence.last_deletion) == (0, 0, 0)


# Members


def test_a_member_joins_changes_and_expires() -> None:
    it, joined = stack_state(), member("c1", 2)
    change = it.put_record(joined)
    assert change is not None
    assert (change.type, change.record, change.former) == ("member.join", joined, None)
    ready = replace(joined, state="draining", revision=3)
    change = it.put_record(ready)
    assert change is not None
    assert (change.type, change.record, change.former) == ("member.change", ready, joined)
    change = it.drop_record(ready.record_key, 4)
    assert change is not None
    assert (change.type, change.record, change.former) == ("member.expire", None, ready)
    assert (change.by, change.request_id, change.reason) == (None, None, "expired")
    assert (it.live_members, it.generations) == ({}, {})
    assert (it.target, it.changed, it.convergence.last_deletion) == (4, 4, 4)
    assert usage(it) == (0, 0)


def test_a_departure_is_reported_once_and_the_member_counts_until_it_is_deleted() -> None:
    it, joined = stack_state(), member("c1", 2)
    it.put_record(joined)
    departed = replace(joined, state="departed", reason="left", revision=3, updated_by="bob")
    change = it.put_record(departed)
    assert change is not None
    assert (change.type, change.by, change.reason) == ("member.depart", "bob", "left")
    assert change.former == joined
    assert (it.live_members, it.generations) == ({}, {})
    assert usage(it) == (1, joined.size)
    assert it.drop_record(departed.record_key, 4) is None
    assert (it.target, it.convergence.last_deletion) == (3, 3)
    assert usage(it) == (0, 0)


def test_a_new_incarnation_replaces_the_former_one() -> None:
    it, old, new = stack_state(), member("c1", 2), member("c1", 3, LEASE + 1, group="head")
    it.put_record(old)
    change = it.put_record(new)
    assert change is not None
    assert (change.type, change.former) == ("member.join", old)
    assert it.generations == {new.generation: new}
    assert usage(it) == (1, new.size)


def test_a_departed_member_can_join_again() -> None:
    it = stack_state()
    it.put_record(member("c1", 2, state="departed"))
    change = it.put_record(member("c1", 3, LEASE + 1))
    assert change is not None
    assert (change.type, change.former) == ("member.join", None)


def test_members_whose_leases_were_lost_can_all_be_deleted() -> None:
    it = stack_state()  # as copied by a tool that ignores leases
    for name in ("c1", "c2"):
        it.put_record(member(name, 2, lease=0))
    for name in ("c1", "c2"):
        assert it.drop_record(RecordKey(Member, name), 3) is not None
    assert (it.live_members, it.generations) == ({}, {})


# Applied revisions and deletion markers


def test_an_applied_revision_is_no_event_and_does_not_move_the_target() -> None:
    it = stack_state()
    assert it.put_record(Applied("c1", 5, revision=6, lease=LEASE)) is None
    assert it.convergence.applied == {"c1": 5}
    assert it.drop_record(RecordKey(Applied, "c1"), 7) is None
    assert (it.convergence.applied, it.target, it.changed) == ({}, 0, 0)
    assert usage(it) == (0, 0)


def test_a_deletion_needs_a_marker_as_long_as_there_are_members() -> None:
    it = stack_state()
    it.put(fact("a", 1, 2))
    it.put(fact("b", 1, 2))
    it.drop("a", 3)
    assert not it.needs_write, "nobody converges"
    it.put_record(member("c1", 4))
    assert it.needs_write
    it.put_record(DeletionMarker(3, revision=5))
    assert (it.needs_write, it.target) == (False, 4)
    it.drop("b", 6)
    assert it.needs_write


def test_a_loaded_state_gets_its_target_from_the_deletion_marker() -> None:
    state = State(9)
    state.load(
        [
            PutStack(stack()),
            PutFact("s1", fact("a", 1, 2)),
            PutRecord("s1", member("c1", 3)),
            PutRecord("s1", DeletionMarker(7, revision=8)),
        ]
    )
    contents = state.contents(SCOPE)
    assert contents is not None
    assert (contents.target, contents.changed) == (7, 9)


# Waiters and signals


def test_waiters_and_signals_count_until_they_are_deleted() -> None:
    it, armed, given = stack_state(), waiter("w", 2, {"signals": 2}), signal("w", "a", 3)
    it.put_record(armed)
    it.put_record(Timer("w", revision=2, lease=5))
    it.put_record(given)
    assert usage(it) == (2, armed.size + given.size)
    assert it.signals("w") == {given.record_key.name: given}
    assert it.signals("v") == {}
    longer = replace(given, reason="because of something else", revision=4)
    it.put_record(longer)
    assert usage(it) == (2, armed.size + longer.size)
    for place in (armed.record_key, RecordKey(Timer, "w"), given.record_key):
        assert it.drop_record(place, 5) is None
    assert usage(it) == (0, 0)


def test_only_the_end_of_a_pending_waiter_is_an_event() -> None:
    it, armed = stack_state(), waiter("w", 2, {"signals": 1})
    assert it.put_record(armed) is None
    met = replace(armed, state="met", reason="all is well", revision=3)
    change = it.put_record(met)
    assert change is not None
    assert (change.type, change.record, change.reason) == ("waiter.met", met, "all is well")
    assert (change.by, change.request_id) == (None, None)
    assert it.put_record(replace(met, revision=4)) is None
    assert (it.target, it.changed) == (0, 0)


# Whole stacks


def test_a_deleted_stack_with_pending_outcomes_needs_no_write() -> None:
    state = State()
    state.apply(Step(1, (PutStack(stack()), PutFact("s1", fact("a", 1, 1)))))
    armed = waiter("w", 2, {"facts": "a", "present": True})
    state.apply(Step(2, (PutRecord("s1", armed), PutRecord("s1", Timer("w", revision=2, lease=5)))))
    assert [found.stack.id for found in state.stacks_needing_write()] == ["s1"]
    state.apply(Step(3, (DropStack(SCOPE),)))
    assert state.stacks_needing_write() == []
    assert not state.stacks_needing_write()
