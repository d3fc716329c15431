"""Which writes can be in one batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.store.commit_batch import (
    BATCH_BYTES,
    BATCH_SIZE,
    ConflictSet,
    WaitingEntries,
)
from factstore.store.types import (
    Compare,
    DeleteKeys,
    PutKey,
    Txn,
)
from tests.unit.store.batches import (
    creation,
    entry,
    fact_txn,
    of_project,
    put,
    taken,
    waiting_entries,
)

KEYS = [b"a", b"a/b", b"a/b/c", b"a0", b"b", b"record"]


def test_writes_of_different_keys_share_a_transaction() -> None:
    batch, left = taken(put(b"a"), put(b"b"), put(b"c"))
    assert len(batch) == 3
    assert left == []


def test_two_writes_of_one_key_never_share_a_transaction() -> None:
    first, second = put(b"a"), put(b"a")
    assert taken(first, second) == ([first], [second])


@pytest.mark.parametrize("turn", [1, -1])
def test_a_fact_and_one_below_it_are_never_created_together(turn: int) -> None:
    pair = [creation(b"s/x"), creation(b"s/x/y", b"s/x")][::turn]
    assert taken(*pair) == ([pair[0]], [pair[1]])


def test_a_transaction_that_guards_a_key_is_not_batched_with_a_write_of_it() -> None:
    writer, txn = put(b"record"), put(b"a", b"v", Compare(b"record", "create", "==", 7))
    assert taken(writer, txn) == ([writer], [txn])
    assert taken(txn, writer) == ([txn], [writer])


def test_a_deletion_counts_as_a_write() -> None:
    deletion = Txn((), (DeleteKeys(b"a"),))
    assert taken(deletion, put(b"a"))[0] == [deletion]


def test_a_conflicting_transaction_leads_thenext_batch() -> None:
    first, clashing, other = put(b"a"), put(b"a"), put(b"b")
    batch, left = taken(first, clashing, other)
    assert batch == [first, other]
    assert left == [clashing]


def sized(key: bytes, compares: int) -> Txn:
    return put(key, b"v", *(Compare(key + b"%d" % n, "mod", "==", 0) for n in range(compares)))


def test_a_transaction_of_full_size_is_sent_alone() -> None:
    large = sized(b"z", BATCH_SIZE)
    assert taken(large, put(b"a"))[0] == [large]
    batch, left = taken(put(b"a"), large, put(b"b"))
    assert len(batch) == 2
    assert left == [large]


@given(st.lists(st.integers(1, BATCH_SIZE), min_size=1, max_size=300))
def test_a_batch_stays_below_etcds_limit_and_leaves_no_room_for_the_next(sizes: list[int]) -> None:
    batch, left = taken(*(sized(b"k%d/" % n, size) for n, size in enumerate(sizes)))
    largest = max(each.size for each in batch)
    assert len(batch) == 1 or len(batch) + largest <= BATCH_SIZE
    assert all(len(batch) + 1 + max(largest, each.size) > BATCH_SIZE for each in left)


def test_a_batch_stays_below_etcds_limit_of_bytes() -> None:
    big, _ = taken(*(put(b"k%d" % n, b"x" * 60_000) for n in range(50)))
    assert sum(each.bytes for each in big) <= BATCH_BYTES


def test_the_size_of_a_waiting_transaction_is_computed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed = []
    size = Txn.bytes.fget
    monkeypatch.setattr(Txn, "bytes", property(lambda txn: computed.append(txn) or size(txn)))
    waiting = waiting_entries(*(put(b"same") for _ in range(5)))
    while waiting:
        assert len(waiting.next_batch()) == 1
    assert len(computed) == 5


def test_a_write_does_not_wait_behind_a_thousand_of_another_project() -> None:
    loud = [of_project("loud", number) for number in range(1000)]
    waiting = waiting_entries(*loud, of_project("quiet", 0))
    assert [each.txn.project_id for each in waiting.next_batch()][:3] == ["loud", "quiet", "loud"]


@given(st.lists(st.sampled_from("abc"), max_size=120), st.integers(1, 20))
def test_projects_share_batches_in_turns_and_no_write_is_lost_or_overtaken_by_its_projects(
    projects: list[str], share: int
) -> None:
    arrivals = [of_project(name, number) for number, name in enumerate(projects)]
    waiting, sent = waiting_entries(*arrivals), list[Txn]()
    while waiting:
        before = {name for name in "abc" if len(sent) < len(arrivals)} & {
            txn.project_id for txn in arrivals if txn not in sent
        }
        batch = [each.txn for each in waiting.next_batch(share)]
        counts = {name: sum(txn.project_id == name for txn in batch) for name in before}
        assert all(1 <= count <= share for count in counts.values())
        assert {txn.project_id for txn in batch[: len(before)]} == before, "each has its turn"
        sent += batch
    for name in "abc":
        own = [txn for txn in arrivals if txn.project_id == name]
        assert [txn for txn in sent if txn.project_id == name] == own
    assert len(waiting) == 0
    assert len(sent) == len(arrivals)


def test_a_project_that_had_no_place_in_a_full_batch_is_the_first_in_the_next_one() -> None:
    full, late = sized(b"z", BATCH_SIZE), of_project("late", 0)
    waiting = waiting_entries(full, put(b"a"), late)
    assert [each.txn for each in waiting.next_batch()] == [full]
    assert [each.txn for each in waiting.next_batch()] == [late, put(b"a")]


def test_only_a_waiting_transaction_can_be_removed() -> None:
    waiting, known, other = WaitingEntries(), entry(put(b"a")), entry(put(b"b"))
    waiting.add(known)
    assert [waiting.remove(each) for each in (other, known, known)] == [False, True, False]
    assert not waiting


txns = st.builds(
    Txn,
    st.lists(
        st.builds(
            Compare,
            st.sampled_from(KEYS),
            st.just("create"),
            st.just("=="),
            st.just(0),
            st.sampled_from([b"", b"a0", b"z"]),
        ).filter(lambda compare: not compare.end or compare.key < compare.end),
        max_size=3,
    ),
    st.lists(
        st.builds(PutKey, st.sampled_from(KEYS), st.just(b"v"), st.just(0)), min_size=1, max_size=2
    ),
)


@given(st.lists(txns, max_size=12))
def test_no_transaction_of_a_batch_touches_keys_that_another_guards_or_writes(
    arrivals: list[Txn],
) -> None:
    batch, left = taken(*arrivals)
    assert sorted(map(id, batch + left)) == sorted(map(id, arrivals))
    for one in batch:
        for other in batch:
            if one is other:
                continue
            for operation in one.operations:
                key = operation.key
                assert key not in [o.key for o in other.operations]
                for compare in other.compares:
                    end = compare.end or compare.key + b"\0"
                    assert not compare.key <= key < end


@given(st.lists(txns, max_size=8), txns, st.booleans())
def test_conflicts_are_those_of_a_naive_check(batch: list[Txn], new: Txn, facts: bool) -> None:
    conflicts = ConflictSet()
    for txn in batch:
        conflicts.add(fact_txn(txn) if facts else txn)
    ranges = [(c.key, c.end or c.key + b"\0") for txn in batch for c in txn.compares]
    written = [o.key for txn in batch for o in txn.operations]
    naive = any(
        o.key in written or any(start <= o.key < end for start, end in ranges)
        for o in new.operations
    ) or any(c.key <= key < (c.end or c.key + b"\0") for c in new.compares for key in written)
    assert conflicts.conflicts_with(new) == naive
    assert conflicts.conflicts_with(fact_txn(new)) == naive
