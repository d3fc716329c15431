"""The guards of a transaction, as etcd's compares."""

from __future__ import annotations

from factstore.core.model.transaction import TreeGuards
from factstore.core.ports import Transaction
from factstore.store.keyspace import Keyspace
from factstore.store.txn import compares_for
from factstore.store.types import Compare
from tests.unit.core.factories import PROJECT, stack

KEYS = Keyspace("/factstore/v1")
LIFE = b"life"
STACK = stack(created=5, revision=7)
RECORD = KEYS.stack(PROJECT, STACK.name)


def key(path: str) -> bytes:
    return KEYS.fact(PROJECT, STACK.id, path)


def below(path: str) -> tuple[bytes, bytes]:
    return KEYS.facts(PROJECT, STACK.id, path)


def compares(**fields: object) -> list[Compare]:
    return compares_for(Transaction(STACK, 20, **fields), KEYS, LIFE)  # type: ignore[arg-type]


def test_every_expectation_is_compared() -> None:
    found = compares(fact_revisions={"a/b": 0, "c": 4})
    assert found == [
        Compare(KEYS.epoch, "value", "==", LIFE),
        Compare(RECORD, "mod", "==", 7),
        Compare(key("a/b"), "mod", "==", 0),
        Compare(key("c"), "mod", "==", 4),
    ]


def test_the_guards_of_the_tree_are_compared_each() -> None:
    tree = TreeGuards(frozenset({"a"}), frozenset({"a/b"}), frozenset({"c/d"}))
    found = compares(fact_revisions={"a/b": 0}, tree=tree)
    assert found[3:] == [
        Compare(key("a"), "create", "==", 0),
        Compare(below("a/b")[0], "create", "==", 0, below("a/b")[1]),
        Compare(key("c/d"), "create", "<", 21, below("c/d")[1]),
    ]


def test_a_missing_path_in_a_guarded_subtree_needs_no_compare_of_its_own() -> None:
    tree = TreeGuards(subtrees=frozenset({"a"}))
    found = compares(fact_revisions={"a/b": 0, "a": 0, "a/c": 3, "ab": 0}, tree=tree)
    assert found[2:] == [
        Compare(key("a/c"), "mod", "==", 3),
        Compare(key("ab"), "mod", "==", 0),
        Compare(key("a"), "create", "<", 21, below("a")[1]),
    ]


def test_the_empty_subtree_covers_all_facts() -> None:
    found = compares(fact_revisions={"a/b": 0}, tree=TreeGuards(subtrees=frozenset({""})))
    everything = KEYS.facts(PROJECT, STACK.id)
    assert found[2:] == [Compare(everything.start, "create", "<", 21, everything.end)]


def test_a_new_stack_must_not_exist_and_needs_no_other_guard() -> None:
    found = compares(creates_stack=True, fact_revisions={"a": 0})
    assert found == [
        Compare(KEYS.epoch, "value", "==", LIFE),
        Compare(RECORD, "create", "==", 0),
    ]


def test_every_write_compares_the_known_revision_of_the_stacks_record() -> None:
    for fields in ({"updates_stack": True}, {"drops_stack": True}, {"fact_revisions": {"a": 0}}):
        assert compares(**fields).count(Compare(RECORD, "mod", "==", 7)) == 1
