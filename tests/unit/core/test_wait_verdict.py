"""The verdict on waits, compared with a naive one, and its causes."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.wait import Goal, Need, Obstacle, Party, Wait
from factstore.core.state.wait_verdict import Circle, WaitVerdict, judge

MEMBERS = [Party("member", name) for name in "abcde"]
WAITER = Party("waiter", "w")


def wait(
    who: str, *owners: str, needs: int = 1, path: str = "", obstacle: Obstacle | None = None
) -> Wait:
    """Return the wait of a member for a fact of others."""
    return Wait(
        "read",
        Party("member", who),
        Goal("path", path or f"nodes/{owners[0] if owners else 'x'}/{who}"),
        tuple(Party("member", owner) for owner in owners),
        "2026-01-01T00:00:00Z",
        needs,
        obstacle=obstacle,
    )


obstacles = st.sampled_from(
    [None, None, None, Obstacle("owner_missing"), Obstacle("value_differs", final=False)]
)


@st.composite
def waits_of(draw: st.DrawFn, who: st.SearchStrategy[Party]) -> Wait:
    owners = draw(st.lists(st.sampled_from(MEMBERS), max_size=3, unique=True))
    return Wait(
        "read",
        draw(who),
        Goal("path", f"p/{draw(st.integers(0, 3))}"),
        tuple(owners),
        draw(st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])),
        draw(st.integers(1, max(1, len(owners)))),
        obstacle=draw(obstacles),
    )


member_waits = st.lists(waits_of(st.sampled_from(MEMBERS)), max_size=9)
needs = st.recursive(
    waits_of(st.just(WAITER)),
    lambda part: st.lists(part, min_size=1, max_size=3).flatmap(
        lambda parts: st.integers(0, len(parts)).map(lambda count: Need(tuple(parts), count))
    ),
    max_leaves=6,
).map(lambda part: part if isinstance(part, Need) else Need((part,), 1))


def naive_blocked(waits: list[Wait]) -> set[Party]:
    """Let everybody go who can, round by round; return those who remain."""
    blocked = {wait.who for wait in waits}
    while True:
        freed = {
            who
            for who in blocked
            if all(naive_ends(each, blocked) for each in waits if each.who == who)
        }
        if not freed:
            return blocked
        blocked -= freed


def naive_ends(part: Wait | Need, blocked: set[Party]) -> bool:
    if isinstance(part, Need):
        return len([each for each in part.parts if naive_ends(each, blocked)]) >= part.count
    if part.obstacle is not None and part.obstacle.final:
        return False
    if not part.owners or part.who in part.owners:
        return True
    return len(set(part.owners) - blocked) >= part.needs


def naive_parts(waits: list[Wait], blocked: set[Party]) -> set[frozenset[Party]]:
    """Return the strongly connected parts, by the closure of who can be reached."""
    reached = {
        (each.who, owner)
        for each in waits
        for owner in each.owners
        if not naive_ends(each, blocked) and each.who not in each.owners and owner in blocked
    }
    for middle, first, last in product(blocked, repeat=3):
        if (first, middle) in reached and (middle, last) in reached:
            reached.add((first, last))
    return {
        frozenset(p for p in blocked if p == party or {(party, p), (p, party)} <= reached)
        for party in blocked
        if (party, party) in reached
    }


@given(member_waits, needs)
def test_the_verdict_is_that_of_a_naive_version(waits: list[Wait], need: Need) -> None:
    verdict = judge(waits, {WAITER: need})
    blocked = naive_blocked(waits)
    ends = naive_ends(need, blocked)
    assert verdict.blocked.keys() == blocked | (set() if ends else {WAITER})
    assert {frozenset(circle.parties) for circle in verdict.circles} == naive_parts(waits, blocked)
    remaining = [each for each in waits if each.who in blocked]
    remaining += [] if ends else list(need.waits())
    obstructed = [each for each in remaining if each.obstacle is not None and each.obstacle.final]
    assert sorted(verdict.never, key=repr) == sorted(obstructed, key=repr)
    assert verdict.stuck == bool(verdict.blocked)
    for who in verdict.blocked:
        check_cause(verdict, who)


def check_cause(verdict: WaitVerdict, who: Party) -> None:
    cause = verdict.cause(who)
    assert cause in verdict.circles if isinstance(cause, Circle) else cause in verdict.never


@given(member_waits)
def test_each_circle_is_closed_and_lists_its_parties_first(waits: list[Wait]) -> None:
    for circle in judge(waits, {}).circles:
        waiting = [step.wait.who for step in circle.steps]
        assert list(circle.parties[: len(waiting)]) == waiting
        assert [step.owner for step in circle.steps] == [*waiting[1:], waiting[0]]
        assert all(step.owner in step.wait.owners for step in circle.steps)
        assert len(set(circle.parties)) == len(circle.parties) > 1
        assert circle.since == max(step.wait.since for step in circle.steps)


@given(member_waits, st.randoms(use_true_random=False))
def test_the_order_in_which_waits_are_found_does_not_matter(
    waits: list[Wait], random: object
) -> None:
    shuffled = sorted(waits, key=lambda each: random.random())  # type: ignore[attr-defined]
    first, second = judge(waits, {}), judge(shuffled, {})
    assert [circle.parties for circle in first.circles] == [c.parties for c in second.circles]
    assert first.since == second.since


def test_a_member_that_waits_for_itself_does_several_things_at_once() -> None:
    assert not judge([wait("a", "a")], {}).stuck


def test_one_of_two_holders_that_can_continue_is_enough() -> None:
    found = judge([wait("a", "b", "c"), wait("b", "a")], {})
    assert not found.stuck
    found = judge([wait("a", "b", "c", needs=2), wait("b", "a")], {})
    assert [circle.parties for circle in found.circles] == [(MEMBERS[0], MEMBERS[1])]


def test_thousands_of_members_that_wait_for_one_are_judged_at_once() -> None:
    names = [f"c{number}" for number in range(3000)]
    waits = [wait(name, "head") for name in names]
    waits += [wait("head", name, path=f"nodes/{name}/key") for name in names]
    found = judge(waits, {})
    assert len(found.circles) == 1
    assert len(found.circles[0].parties) == 3001
    assert len(found.circles[0].steps) == 2


def test_a_long_chain_is_judged_without_recursion() -> None:
    waits = [wait(f"c{number}", f"c{number + 1}") for number in range(3000)]
    assert not judge(waits, {}).stuck
    found = judge([*waits, wait("c3000", "c0")], {})
    assert len(found.circles[0].steps) == 3001
