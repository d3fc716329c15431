"""Members in the state: generations, bound facts, the target, and the changes for watchers."""

from __future__ import annotations

from dataclasses import replace

from factstore.core.model.event import (
    Change,
    DeletionAuthor,
    DropFact,
    DropRecord,
    DropStack,
    Event,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.member import Applied, Member
from factstore.core.state.state import State
from tests.unit.core.factories import NOW, SCOPE, fact, stack


def member(name: str = "c1", revision: int = 2, lease: int = 7, **fields: object) -> Member:
    made = Member(
        name,
        "compute",
        "joining",
        "{}",
        30,
        NOW,
        NOW,
        "alice",
        "req-join",
        None,
        1,
        revision=revision,
        lease=lease,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def moved(state: State, *mutations: Mutation) -> list[Event]:
    return list(state.apply(Step(state.revision + 1, mutations)).events)


def state_with_a_member() -> State:
    state = State()
    moved(state, PutStack(stack()))
    moved(state, PutRecord("s1", member()))
    return state


def changes(events: list[Event]) -> list[Change]:
    return [change for event in events for change in event.changes]


def by_generation(state: State, generation: str) -> Member | None:
    """Return the living member of a generation, or None."""
    found = state.stack_state(SCOPE)
    assert found is not None
    return found.generations.get(generation)


def test_a_member_is_found_by_name_and_by_generation_until_it_departs() -> None:
    state = state_with_a_member()
    assert state.member(SCOPE, "c1") == by_generation(state, "7") == member()
    gone = member(revision=3, state="departed", reason="left")
    (change,) = changes(moved(state, PutRecord("s1", gone)))
    assert (change.type, change.record, change.former) == ("member.depart", gone, member())
    assert state.member(SCOPE, "c1") is None
    assert by_generation(state, "7") is None
    assert moved(state, DropRecord("s1", gone.record_key)) == []  # its departure was the event
    assert state.record(SCOPE, gone.record_key) is None


def test_a_new_incarnation_is_found_by_its_own_generation_only() -> None:
    state = state_with_a_member()
    (change,) = changes(moved(state, PutRecord("s1", member(revision=3, lease=8))))
    assert (change.type, change.former) == ("member.join", member())
    assert by_generation(state, "7") is None
    assert by_generation(state, "8") == state.member(SCOPE, "c1")


def declared_only(revision: int = 2, **fields: object) -> Member:
    said = {"ttl": None, "declared": "heat:1", "number": 9, "reason": "scaled_out", **fields}
    return member(revision=revision, lease=0, **said)


def test_adopting_a_declared_member_is_a_change() -> None:
    state = State()
    moved(state, PutStack(stack()))
    (joined,) = changes(moved(state, PutRecord("s1", declared_only())))
    assert (joined.type, joined.reason) == ("member.join", "scaled_out")
    assert by_generation(state, "9") == declared_only()
    adopted = member(revision=3, lease=8, declared="heat:1", reason="scaled_out")
    (change,) = changes(moved(state, PutRecord("s1", adopted)))
    assert (change.type, change.record, change.former) == (
        "member.change",
        adopted,
        declared_only(),
    )
    assert change.reason is None
    assert by_generation(state, "9") is None
    assert by_generation(state, "8") == adopted
    again = member(revision=4, lease=11, declared="heat:1")
    (change,) = changes(moved(state, PutRecord("s1", again)))
    assert change.type == "member.join"  # the second that joins as it replaces the first


def test_declared_members_are_distinct_incarnations() -> None:
    state = State()
    moved(state, PutStack(stack()))
    moved(state, PutRecord("s1", declared_only()))
    moved(state, PutRecord("s1", declared_only(3, name="c2", number=10)))
    assert by_generation(state, "9") == declared_only()
    gone = declared_only(4, state="departed", reason="left", name="c2", number=10)
    moved(state, PutRecord("s1", gone))
    assert by_generation(state, "9") == declared_only()
    assert by_generation(state, "10") is None
    (change,) = changes(moved(state, PutRecord("s1", declared_only(5, name="c2", number=11))))
    assert change.type == "member.join"


def test_a_declaration_of_a_living_member_is_an_event_and_does_not_move_the_target() -> None:
    state = state_with_a_member()
    moved(state, PutFact("s1", fact("p", revision=3)))
    noted = member(revision=4, declared="heat:1", told=2)
    (change,) = changes(moved(state, PutRecord("s1", noted)))
    assert (change.type, change.record) == ("member.change", noted)
    fresh = State(4)
    fresh.load(state.mutations())
    for each in (state, fresh):
        contents = each.contents(SCOPE)
        assert contents is not None
        assert contents.target == 3
        assert contents.members == (noted,)
    contents = state.contents(SCOPE)
    assert contents is not None
    assert contents.changed == 3
    moved(state, PutRecord("s1", member(revision=5, declared="heat:1", state="ready")))
    contents = state.contents(SCOPE)
    assert contents is not None
    assert (contents.target, contents.changed) == (5, 5)


def test_a_departed_member_is_the_author_of_the_deletion_of_its_facts() -> None:
    state = state_with_a_member()
    bound = fact("p", member="c1", lease=7, revision=3)
    moved(state, PutFact("s1", bound))
    assert state.bound(SCOPE, 7) == 1
    gone = member(revision=4, state="departed", updated_by="bob", request_id="req-leave")
    moved(state, PutRecord("s1", gone))
    (change,) = changes(moved(state, DropFact("s1", "p"), DropRecord("s1", gone.record_key)))
    assert (change.type, change.by, change.request_id) == ("fact.expire", "bob", "req-leave")
    assert state.bound(SCOPE, 7) == 0


def test_a_bound_fact_that_is_deleted_is_no_longer_bound() -> None:
    state = state_with_a_member()
    moved(state, PutFact("s1", fact("p", member="c1", lease=7, revision=3)))
    act = DeletionAuthor("s1", "eve", "req-delete", ("p",))
    (change,) = changes(moved(state, act, DropFact("s1", "p")))
    assert (change.type, change.by) == ("fact.delete", "eve")
    assert state.bound(SCOPE, 7) == 0


def test_an_applied_record_touches_the_stack_and_makes_no_event() -> None:
    state = state_with_a_member()
    result = state.apply(
        Step(state.revision + 1, (PutRecord("s1", Applied("c1", 2, revision=3, lease=7)),))
    )
    assert (result.events, result.touched) == ((), {SCOPE: frozenset()})
    contents = state.contents(SCOPE)
    assert contents is not None
    assert (contents.target, contents.changed) == (2, 2)
    stack_state = state.stack_state(SCOPE)
    assert stack_state is not None
    assert stack_state.convergence.applied == {"c1": 2}


def test_a_deleted_stack_needs_no_write() -> None:
    state = state_with_a_member()
    moved(state, PutFact("s1", fact("p", revision=3)))
    moved(state, DropFact("s1", "p"))
    assert state.stacks_needing_write()  # a deletion marker
    moved(state, DropStack(SCOPE))
    assert not state.stacks_needing_write()
    assert state.stacks_needing_write() == []
