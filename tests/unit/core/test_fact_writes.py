"""Planning writes of facts on a given state."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import (
    Conflict,
    FactstoreError,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooLarge,
)
from factstore.core.model.event import PutFact, Step
from factstore.core.model.fact import TTL_MAX, TTL_MIN, Author, Delete, Put
from factstore.core.model.path import covers
from factstore.core.model.precondition import ABSENT, ANY, EXISTS, Precondition
from factstore.core.operations.batches import check_batch
from factstore.core.state.state import State
from tests.unit.core.factories import ALICE, SCOPE, author, fact, put, state_with
from tests.unit.core.planning import Planned, new_paths, plan_facts

LATER = "2031-01-01T00:00:00Z"


def planned(
    state: State,
    *changes: Put | Delete,
    guards: Sequence[tuple[str, Precondition]] = (),
    by: Author = ALICE,
    create: bool = False,
) -> Planned:
    return plan_facts(state, changes, guards, by, create=create, now=LATER)


def outcomes(plan: Planned) -> list[str]:
    return [result.outcome for result in plan.results]


# Drafts


def test_a_new_fact_is_guarded_against_a_concurrent_creation() -> None:
    plan = planned(state_with(), put("a/b", "v"))
    assert outcomes(plan) == ["created"]
    assert plan.commit.fact_revisions == {"a/b": 0}
    assert new_paths(plan.commit) == ["a/b"]
    (written,) = plan.commit.puts
    assert (written.text, written.version, written.created_at) == ('"v"', 1, LATER)
    assert (written.updated_by, written.request_id) == (ALICE.user_id, ALICE.request_id)


def test_a_changed_fact_keeps_its_creation_time_and_increments_its_version() -> None:
    state = state_with(["p"])
    before = state.fact(SCOPE, "p")
    plan = planned(state, put("p", "other"))
    assert outcomes(plan) == ["updated"]
    assert new_paths(plan.commit) == []
    (written,) = plan.commit.puts
    assert before is not None
    assert (written.version, written.created_at) == (before.version + 1, before.created_at)
    assert written.updated_at == LATER
    assert plan.commit.fact_revisions == {"p": before.revision}


def test_an_equal_fact_is_confirmed_and_not_written() -> None:
    plan = planned(state_with(["p"]), put("p", 2))
    assert outcomes(plan) == ["unchanged"]
    assert not plan.commit.writes
    assert plan.commit.fact_revisions == {"p": 2}
    assert plan.results[0].fact is not None
    assert plan.results[0].fact.revision == 2


@pytest.mark.parametrize(
    "change",
    [
        put("p", 2.0),
        put("p", True),
        put("p", "2"),
        put("p", 2, "parameter"),
        put("p", 2, ttl=60),
    ],
)
def test_a_fact_with_a_visible_difference_is_written(change: Put) -> None:
    plan = planned(state_with(["p"]), change)
    assert outcomes(plan) == ["updated"]
    assert plan.commit.writes


def test_a_fact_loses_its_ttl_by_a_write_without_one() -> None:
    state = state_with()
    state.apply(Step(2, (PutFact("s1", fact("p", 1, 2, ttl=60, lease=7)),)))
    plan = planned(state, put("p", 1))
    assert outcomes(plan) == ["updated"]
    assert (plan.commit.puts[0].ttl, plan.commit.puts[0].lease) == (None, 0)
    assert outcomes(planned(state, put("p", 1, ttl=60))) == ["unchanged"]
    assert outcomes(planned(state, put("p", 1, ttl=61))) == ["updated"]


def test_a_deletion_names_its_author_and_the_deleted_paths() -> None:
    plan = planned(state_with(["p", "q"]), Delete("p"), Delete("gone"), put("q", "new"))
    assert outcomes(plan) == ["deleted", "absent", "updated"]
    assert plan.commit.deletes == ("p",)
    act = plan.commit.author
    assert act is not None
    assert (act.stack_id, act.user_id, act.request_id) == ("s1", ALICE.user_id, ALICE.request_id)
    assert act.paths == ("p",)
    assert plan.commit.fact_revisions == {"p": 2, "gone": 0, "q": 3}


def test_deleting_a_missing_fact_writes_nothing() -> None:
    plan = planned(state_with(), Delete("p"))
    assert outcomes(plan) == ["absent"]
    assert not plan.commit.writes
    assert plan.commit.author is None


def test_paths_with_preconditions_only_are_guarded_in_the_transaction() -> None:
    plan = planned(state_with(["g"]), put("p"), guards=[("g", EXISTS), ("h", ABSENT)])
    assert plan.commit.fact_revisions == {"p": 0, "g": 2, "h": 0}


def test_a_fact_with_a_ttl_requests_a_lease_of_its_own() -> None:
    plan = planned(state_with(), put("p", ttl=60), put("q"), put("r", ttl=60))
    assert {path: change.ttl for path, change in plan.draft.leases.items()} == {"p": 60, "r": 60}
    assert plan.draft.leases["p"] is not plan.draft.leases["r"]


# Fact or folder


@pytest.mark.parametrize(
    ("stored", "changes", "code", "conflicts_with"),
    [
        (["x"], [put("x/y")], "path_below_fact", "x"),
        (["x"], [put("x/y/z")], "path_below_fact", "x"),
        (["x/y"], [put("x")], "path_is_folder", "x/y"),
        (["x/y/z"], [put("x")], "path_is_folder", "x/y/z"),
        (["x/y/z"], [put("x/y")], "path_is_folder", "x/y/z"),
        ([], [put("x"), put("x/y")], "path_below_fact", "x"),
        ([], [put("x/y"), put("x")], "path_below_fact", "x"),
        ([], [put("x/y/z"), put("x")], "path_below_fact", "x"),
        (["x"], [put("x", "updated"), put("x/y")], "path_below_fact", "x"),
        (["x"], [put("x", 2), put("x/y")], "path_below_fact", "x"),
        (["x/y", "x/z"], [Delete("x/y"), put("x")], "path_is_folder", "x/z"),
        (["x"], [Delete("x/y"), put("x/z")], "path_below_fact", "x"),
    ],
)
def test_a_path_is_never_both_a_fact_and_a_folder(
    stored: list[str], changes: list[Put | Delete], code: str, conflicts_with: str
) -> None:
    with pytest.raises(Conflict) as refused:
        planned(state_with(stored), *changes)
    assert refused.value.code == code
    assert refused.value.extra["conflicts_with"] == conflicts_with


@pytest.mark.parametrize(
    ("stored", "changes"),
    [
        (["x"], [Delete("x"), put("x/y")]),
        (["x"], [put("x/y"), Delete("x")]),
        (["x"], [put("x/y/z"), Delete("x"), put("x/w")]),
        (["x/y", "x/z"], [Delete("x/y"), put("x"), Delete("x/z")]),
        (["x/y/z"], [put("x/y"), Delete("x/y/z")]),
        (["n1", "n10/a"], [put("n10/b"), put("n1-a"), put("n1.b/c")]),
        (["a/b"], [put("a/b", "more"), put("a/c")]),
    ],
)
def test_a_batch_may_turn_a_fact_into_a_folder_and_back(
    stored: list[str], changes: list[Put | Delete]
) -> None:
    plan = planned(state_with(stored), *changes)
    assert set(new_paths(plan.commit)) <= {
        change.path for change in changes if isinstance(change, Put)
    }
    assert plan.commit.writes


names = st.sampled_from(["x", "x/y", "x/y/z", "x/z", "x-a", "x1/y", "w"])


@given(
    st.sets(names).filter(lambda before: not clash(before)),
    st.lists(
        st.builds(put, names, st.integers(0, 3)) | st.builds(Delete, names),
        min_size=1,
        max_size=5,
        unique_by=lambda change: change.path,
    ),
)
def test_a_batch_is_refused_if_and_only_if_its_result_is_not_a_tree(
    before: set[str], changes: list[Put | Delete]
) -> None:
    state = state_with(sorted(before))
    after = {p for p in before if Delete(p) not in changes}
    after |= {change.path for change in changes if isinstance(change, Put)}
    try:
        plan = planned(state, *changes)
    except Conflict:
        assert clash(after)
    else:
        assert not clash(after)
        commit = plan.commit
        assert before - set(commit.deletes) | {f.path for f in commit.puts} == after
        assert set(commit.fact_revisions) == {change.path for change in changes}
        assert set(new_paths(commit)) == {f.path for f in commit.puts} - before


def clash(paths: set[str]) -> bool:
    return any(a != b and covers(a, b) for a in paths for b in paths)


# Errors and their order


def test_preconditions_are_checked_first() -> None:
    state = state_with(["x", "par"])
    guest = author("guest", may_set_parameters=False)
    for changes in ([put("x/y")], [put("p", kind="parameter")]):
        with pytest.raises(PreconditionFailed):
            planned(state, *changes, guards=[("gone", EXISTS)], by=guest)
    with pytest.raises(PreconditionFailed):
        planned(State(), put("p"), guards=[("p", EXISTS)])
    with pytest.raises(PreconditionFailed):
        planned(State(), Delete("p"), guards=[("p", EXISTS)])


def test_the_first_write_creates_a_missing_stack_if_allowed() -> None:
    plan = planned(State(), put("p"), create=True)
    assert plan.commit.creates_stack
    assert (plan.commit.stack.id, plan.commit.stack.scope) == ("new-id", SCOPE)
    with pytest.raises(NotFound):
        planned(State(), put("p"))


def test_a_stack_that_exists_is_not_created_again() -> None:
    plan = planned(state_with(), put("p"), create=True)
    assert not plan.commit.creates_stack
    assert plan.commit.stack.id == "s1"


def test_a_precondition_for_absence_is_met_in_a_missing_stack() -> None:
    plan = planned(State(), put("p"), guards=[("p", ABSENT)], create=True)
    assert outcomes(plan) == ["created"]


@pytest.mark.parametrize(
    "change",
    [put("par", 2, "parameter"), put("par", 2), put("new", 1, "parameter"), Delete("par")],
)
def test_only_permitted_callers_change_parameters(change: Put | Delete) -> None:
    state = state_with()
    state.apply(Step(2, (PutFact("s1", fact("par", 1, 2, kind="parameter")),)))
    with pytest.raises(Forbidden) as refused:
        planned(state, change, by=author("guest", may_set_parameters=False))
    assert refused.value.code == "parameter_protected"
    assert planned(state, change).commit.writes


def test_a_caller_who_may_not_set_parameters_can_write_observed_facts() -> None:
    guest = author("guest", may_set_parameters=False)
    assert outcomes(planned(state_with(["p"]), put("p", "v"), by=guest)) == ["updated"]


@pytest.mark.parametrize(
    ("guards", "changes", "error", "code"),
    [
        (0, [], Invalid, "batch_empty"),
        (0, [put("a"), put("a")], Invalid, "batch_duplicate_path"),
        (0, [put("a"), Delete("a")], Invalid, "batch_duplicate_path"),
        (0, [put(f"p{n}") for n in range(101)], TooLarge, "batch_too_large"),
        (51, [put(f"p{n}") for n in range(50)], TooLarge, "batch_too_large"),
        (0, [put(f"p{n}", "x" * 65000) for n in range(17)], TooLarge, "batch_too_large"),
    ],
)
def test_an_invalid_batch_is_refused(
    guards: int, changes: list[Put | Delete], error: type[FactstoreError], code: str
) -> None:
    with pytest.raises(error) as refused:
        check_batch([(f"g{n}", ANY) for n in range(guards)], changes)
    assert refused.value.code == code


def test_a_hundred_guards_and_operations_are_allowed() -> None:
    check_batch([(f"g{n}", ANY) for n in range(50)], [put(f"p{n}") for n in range(50)])


@pytest.mark.parametrize("ttl", [0, 4, -1, TTL_MAX + 1, 5.0, True, "10"])
def test_a_ttl_is_a_whole_number_of_seconds_within_its_limits(ttl: int) -> None:
    with pytest.raises(Invalid) as refused:
        put("p", ttl=ttl)
    assert refused.value.code == "ttl_invalid"
    assert [put("p", ttl=ok).ttl for ok in (TTL_MIN, TTL_MAX)] == [TTL_MIN, TTL_MAX]
