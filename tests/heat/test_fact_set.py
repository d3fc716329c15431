"""Writing a set of facts into a stack while other clients write to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from factstore.client import Client, Delete, Fact, Guard, Put, Stack, errors
from factstore.heat.resources.fact_set import (
    OwnedByOthers,
    Ownership,
    digest,
    digests,
    matches,
    plan,
    reconcile,
    restore,
)

PARAMETERS = Ownership(
    put=lambda path, value: Put(path, value, kind="parameter"),
    may_overwrite=lambda fact: fact.kind == "parameter",
    is_ours=lambda fact, _: fact.kind == "parameter",
)


@pytest.fixture
def space(facts: Client, name: str) -> Iterator[Stack]:
    """An empty stack."""
    stack = facts.stack(name)
    stack.configure()
    yield stack
    stack.delete_stack()


def fact(path: str, value: Any, kind: str = "parameter") -> Fact:
    """A fact whose etag is ``tag-of-PATH``."""
    return Fact(path, value, kind, 1, 1, f"tag-of-{path}", "t", "t", "u")


def stored(space: Stack) -> dict[str, Any]:
    """All values, by path."""
    return {fact.path: fact.value for fact in space.snapshot().facts}


def test_only_what_differs_is_written() -> None:
    found = {"same": fact("same", 1), "other": fact("other", 1), "old": fact("old", 1)}
    wanted = {"same": 1, "other": True, "new": None}
    assert plan(found, wanted, {"old": "", "never": ""}, PARAMETERS) == [
        (Guard.etag("old", "tag-of-old"), Delete("old")),
        (Guard.etag("other", "tag-of-other"), Put("other", True, kind="parameter")),
        (Guard.absent("new"), Put("new", None, kind="parameter")),
    ]


def test_facts_of_others_are_neither_overwritten_nor_deleted() -> None:
    found = {"b": fact("b", 1, "observed"), "a": fact("a", 1, "observed")}
    with pytest.raises(OwnedByOthers) as refused:
        plan(found, {"b": 1, "a": 1, "c": 1}, {}, PARAMETERS)
    assert refused.value.paths == ["a", "b"]
    assert plan(found, {}, {"a": "", "b": ""}, PARAMETERS) == []


def test_values_that_are_equal_in_python_alone_differ() -> None:
    values = [1, 1.0, True, "1", [1], {"a": 1}, None, 0, False, ""]
    assert len({digest(value) for value in values}) == len(values)
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})


def test_a_fact_that_a_member_or_a_ttl_may_delete_does_not_match_one_that_stays() -> None:
    put = Put("a", 1)
    assert matches(fact("a", 1, "observed"), put)
    assert not matches(replace(fact("a", 1, "observed"), member="c1"), put)
    assert not matches(replace(fact("a", 1, "observed"), ttl=60), put)


def test_an_observed_fact_that_is_written_in_between_is_not_overwritten(space: Stack) -> None:
    def put(path: str, value: Any) -> Put:
        space.put("nodes/c1", "theirs")  # after the read, before the write
        return PARAMETERS.put(path, value)

    racing = Ownership(put, PARAMETERS.may_overwrite, PARAMETERS.is_ours)
    with pytest.raises(OwnedByOthers):
        reconcile(space, {"nodes/c1": "ours"}, {}, racing)
    assert stored(space) == {"nodes/c1": "theirs"}


def test_a_parameter_that_changed_in_between_is_read_again(space: Stack) -> None:
    meanwhile = iter(["theirs"])

    def put(path: str, value: Any) -> Put:
        for other in meanwhile:
            space.put(path, other, kind="parameter")
        return PARAMETERS.put(path, value)

    reconcile(
        space, {"a": "ours"}, {}, Ownership(put, PARAMETERS.may_overwrite, PARAMETERS.is_ours)
    )
    assert stored(space) == {"a": "ours"}


def test_a_fact_that_changes_all_the_time_ends_in_an_error(space: Stack) -> None:
    def put(path: str, value: Any) -> Put:
        known = stored(space).get(path, 0)
        space.put(path, known + 1, kind="parameter")
        return PARAMETERS.put(path, value)

    changing = Ownership(put, PARAMETERS.may_overwrite, PARAMETERS.is_ours)
    with pytest.raises(errors.PreconditionFailed):
        reconcile(space, {"a": "ours"}, {}, changing)


def test_a_folder_replaces_a_fact_in_one_revision(space: Stack) -> None:
    reconcile(space, {"a": 1}, {}, PARAMETERS)
    cursor = space.snapshot().cursor
    reconcile(space, {"a/b": 2, "a/c": 3}, digests({"a": 1}), PARAMETERS)
    assert stored(space) == {"a/b": 2, "a/c": 3}
    with space.watch(since=cursor) as events:
        assert len(next(events).changes) == 3  # one revision


def test_each_batch_is_noted_before_it_is_written(space: Stack) -> None:
    noted: list[set[str]] = []
    many = {f"n{number:03}": number for number in range(120)}

    def note(written: Any) -> None:
        assert len(stored(space)) == sum(map(len, noted))
        noted.append(set(written))

    reconcile(space, many, {}, PARAMETERS, note=note)
    assert [len(each) for each in noted] == [50, 50, 20]
    assert stored(space) == many


def test_a_missing_stack_is_not_created(facts: Client, name: str) -> None:
    with pytest.raises(errors.NotFound):
        reconcile(facts.stack(name), {"a": 1}, {}, PARAMETERS)
    with pytest.raises(errors.NotFound):
        facts.stack(name).describe()


def test_deleted_facts_are_restored_where_no_fact_exists_by_now(space: Stack) -> None:
    readers = ("group/web",)
    for path in ("a", "b", "c"):
        space.put(
            path, path, kind="parameter", sensitive=path == "b", readers=readers[path != "b" :]
        )
    before = stored(space)
    with_secrets = [space.get(path) for path in before]
    deleted = reconcile(space, {}, digests(before), PARAMETERS)
    assert deleted == with_secrets
    space.put("c", "theirs")
    restore(space, deleted)
    assert [space.get(path).value for path in ("a", "b", "c")] == ["a", "b", "theirs"]
    assert (space.get("b").kind, space.get("b").readers) == ("parameter", readers)
    hidden = replace(deleted[1], path="hidden", value=None)  # the value could not be read
    restore(space, [hidden])
    assert sorted(stored(space)) == ["a", "b", "c"]
