"""Which turns of a queue are held, compared with the rule read literally."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.event import DropRecord, DropStack, PutRecord, PutStack, Step
from factstore.core.model.turn import Turn
from factstore.core.state.action_runs import all_actions_scope
from factstore.core.state.configuration_changes import configurations_scope
from factstore.core.state.state import State
from factstore.core.state.turn_queues import TurnQueues, queue_scope
from tests.unit.core.factories import NOW, SCOPE, stack

MEMBERS = st.sampled_from("abcdefgh")


def turn(member: str, revision: int, max_parallel: int = 1, queue: str = "q") -> Turn:
    return Turn(queue, member, max_parallel, NOW, "alice", "req-t", revision=revision, lease=7)


def held(queues: TurnQueues, queue: str = "q") -> list[str]:
    return [queued.turn.member for queued in queues.queued(queue) if queued.holds]


def literally_held(turns: list[Turn]) -> list[str]:
    """A turn is held if fewer turns are ahead than it, and each turn ahead of it, permits."""
    ordered = sorted(turns, key=lambda each: (each.revision, each.member))
    return [
        each.member
        for ahead, each in enumerate(ordered)
        if all(ahead < other.max_parallel for other in ordered[: ahead + 1])
    ]


# None removes the member's turn; a number adds one with that max_parallel. Several actions in one
# revision are a group of writes.
STEPS = st.lists(
    st.dictionaries(MEMBERS, st.none() | st.integers(1, 4), min_size=1, max_size=4), max_size=30
)


@given(STEPS)
def test_the_held_turns_are_those_of_the_literal_rule(
    steps: list[dict[str, int | None]],
) -> None:
    queues, model = TurnQueues("s1"), dict[str, Turn]()
    for revision, step in enumerate(steps, 1):
        for member, max_parallel in step.items():
            if max_parallel is None:
                queues.drop("q", member)
                model.pop(member, None)
            else:
                model[member] = turn(member, revision, max_parallel)
                queues.put(model[member])
        expected = literally_held(list(model.values()))
        assert held(queues) == expected
        found = {member: queues.find("q", member) for member in "abcdefgh"}
        assert [member for member, one in found.items() if one and one.holds] == sorted(expected)
        assert list(queues.queued()) == list(queues.queued("q"))
        assert all(queues.count(member) == (member in model) for member in "abcdefgh")


@given(STEPS)
def test_a_held_turn_is_held_until_it_ends_and_never_beside_more_than_it_permits(
    steps: list[dict[str, int | None]],
) -> None:
    queues, before = TurnQueues("s1"), set[tuple[str, int]]()
    for revision, step in enumerate(steps, 1):
        ended = {member for member in step if queues.find("q", member)}
        for member, max_parallel in step.items():
            queues.drop("q", member)
            if max_parallel is not None:
                queues.put(turn(member, revision, max_parallel))
        now = {(each.turn.member, each.turn.revision) for each in queues.queued("q") if each.holds}
        assert {one for one in before if one[0] not in ended} <= now
        limits = [each.turn.max_parallel for each in queues.queued("q") if each.holds]
        assert not limits or len(limits) <= min(limits)
        before = now


def test_turns_of_one_revision_are_ordered_by_the_names_of_their_members() -> None:
    queues = TurnQueues("s1")
    for member in ("b", "c", "a"):
        queues.put(turn(member, 5))
    assert [(each.turn.member, each.position) for each in queues.queued("q")] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]


def test_queues_are_independent_and_listed_by_name() -> None:
    queues = TurnQueues("s1")
    for queue in ("b", "a"):
        queues.put(turn("m", 5, queue=queue))
    assert [each.turn.queue for each in queues.queued()] == ["a", "b"]
    assert held(queues, "a") == held(queues, "b") == ["m"]
    assert held(queues, "other") == []


def test_a_change_of_a_queue_wakes_its_readers_and_those_of_the_stack_without_an_event() -> None:
    state = State(1)
    state.load([PutStack(stack())])
    result = state.apply(Step(2, (PutRecord(stack().id, turn("a", 2)),)))
    assert result.events == ()
    assert set(result.touched) == {SCOPE, queue_scope(SCOPE, "q")}
    contents = state.contents(SCOPE)
    assert contents is not None
    assert (contents.changed, contents.target) == (stack().revision, 0)
    other = state.apply(Step(3, (PutRecord(stack().id, turn("a", 3, queue="p")),)))
    assert set(other.touched) == {SCOPE, queue_scope(SCOPE, "p")}
    dropped = state.apply(Step(4, (DropRecord(stack().id, turn("a", 2).record_key),)))
    assert set(dropped.touched) == {SCOPE, queue_scope(SCOPE, "q")}
    ended = state.apply(Step(5, (DropStack(SCOPE),)))
    others = {all_actions_scope(SCOPE), configurations_scope(SCOPE)}
    assert set(ended.touched) == {SCOPE, queue_scope(SCOPE, "p"), *others}
