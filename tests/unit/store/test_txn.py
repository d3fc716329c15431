"""The guards of a transaction, as etcd's compares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.path import ancestors
from factstore.core.ports import IdempotencyRecord, Transaction
from factstore.store.keyspace import Keyspace
from factstore.store.txn import COMPARES, compares_for
from factstore.store.types import Compare
from tests.unit.core.factories import PROJECT, stack
from tests.unit.core.test_path import paths

KEYS = Keyspace("/factstore/v1")
LIFE = b"life"
STACK = stack(created=5, revision=7)
RECORD = KEYS.stack(PROJECT, STACK.name)
RECEIPT = IdempotencyRecord(PROJECT, "key", "{}")


def key(path: str) -> bytes:
    return KEYS.fact(PROJECT, STACK.id, path)


def below(path: str) -> tuple[bytes, bytes]:
    return KEYS.facts(PROJECT, STACK.id, path)


def compares(**fields: object) -> list[Compare]:
    return compares_for(Transaction(STACK, 20, **fields), KEYS, LIFE)  # type: ignore[arg-type]


def holding(found: list[Compare], path: str) -> list[Compare]:
    """Return the range guards that fail if a key is created at the path."""
    return [c for c in found if c.end and c.key <= key(path) < c.end]


@given(
    st.lists(paths, min_size=1, max_size=100, unique=True),
    st.integers(0, 100),
    st.integers(0, 100),
    st.booleans(),
    st.booleans(),
)
def test_there_are_never_more_compares_than_etcd_accepts(
    touched: list[str], creates: int, deletes: int, with_receipt: bool, new: bool
) -> None:
    found = compares(
        fact_revisions=dict.fromkeys(touched, 3),
        new_paths=tuple(touched[:creates]),
        deletes=tuple(touched[creates : creates + deletes]),
        idempotency=RECEIPT if with_receipt else None,
        creates_stack=new,
    )
    assert len(found) <= COMPARES


def test_a_hundred_facts_in_folders_of_their_own_fit() -> None:
    touched = [f"f{n}/x" for n in range(100)]
    found = compares(
        fact_revisions=dict.fromkeys(touched, 0), new_paths=tuple(touched), idempotency=RECEIPT
    )
    assert len(found) <= COMPARES
    assert all(holding(found, path) for path in touched)


@given(
    st.lists(paths, min_size=1, max_size=8, unique=True), st.sets(st.integers(0, 7)), st.booleans()
)
def test_every_expectation_is_compared_and_every_creation_guarded_above_and_below(
    touched: list[str], deleted: set[int], with_receipt: bool
) -> None:
    deletes = tuple(path for n, path in enumerate(touched) if n in deleted)
    creates = tuple(path for path in touched if path not in deletes)
    expected = {path: 4 if path in deletes else 0 for path in touched}
    found = compares(
        fact_revisions=expected,
        new_paths=creates,
        deletes=deletes,
        idempotency=RECEIPT if with_receipt else None,
    )
    assert Compare(KEYS.epoch, "value", "==", LIFE) in found
    assert Compare(RECORD, "create", "==", 5) in found
    for path, revision in expected.items():
        assert Compare(key(path), "mod", "==", revision) in found
    receipt = Compare(KEYS.receipt(PROJECT, "key"), "create", "==", 0)
    assert (receipt in found) == with_receipt
    for path in creates:
        assert any(c.operand in (0, 21) for c in holding(found, f"{path}/new"))
        for above in ancestors(path):
            noticed = holding(found, above) or [c for c in found if c.key == key(above)]
            assert noticed, f"a fact at {above} would go unnoticed"


def test_one_path_is_guarded_exactly() -> None:
    found = compares(fact_revisions={"a/b/c": 0}, new_paths=("a/b/c",))
    start, end = below("a/b/c")
    assert Compare(start, "create", "==", 0, end) in found
    assert Compare(key("a"), "create", "==", 0) in found
    assert Compare(key("a/b"), "create", "==", 0) in found
    assert not [c for c in found if c.result == "<"]


@pytest.mark.parametrize(
    ("creates", "deletes"), [(("a/x", "a/y", "b/z"), ()), (("a/x", "b/y"), ("a/old",))]
)
def test_several_paths_are_guarded_by_freshness_of_their_folders(
    creates: tuple[str, ...], deletes: tuple[str, ...]
) -> None:
    touched = dict.fromkeys([*creates, *deletes], 0)
    found = compares(fact_revisions=touched, new_paths=creates, deletes=deletes)
    for top in ("a", "b"):
        start, end = below(top)
        assert Compare(start, "create", "<", 21, end) in found
        assert Compare(key(top), "create", "==", 0) in found


def test_a_fact_that_becomes_a_folder_is_not_also_expected_to_be_missing() -> None:
    found = compares(fact_revisions={"x": 3, "x/y": 0}, new_paths=("x/y",), deletes=("x",))
    assert [c for c in found if c.key == key("x")] == [Compare(key("x"), "mod", "==", 3)]
    start, end = below("x")
    assert Compare(start, "create", "<", 21, end) in found


def test_updates_alone_need_no_guard_of_the_tree() -> None:
    assert not [c for c in compares(fact_revisions={"a/b": 9}) if c.end or c.key == key("a")]


def test_a_new_stack_must_not_exist_and_needs_no_other_guard() -> None:
    found = compares(creates_stack=True, fact_revisions={"a": 0}, new_paths=("a",))
    assert found == [
        Compare(KEYS.epoch, "value", "==", LIFE),
        Compare(RECORD, "create", "==", 0),
    ]


def test_an_update_of_a_stack_record_compares_its_known_revision() -> None:
    assert Compare(RECORD, "mod", "==", 7) in compares(updates_stack=True)
    assert Compare(RECORD, "mod", "==", 7) in compares(drops_stack=True)
    assert Compare(RECORD, "mod", "==", 7) not in compares(
        fact_revisions={"a": 0}, new_paths=("a",)
    )
