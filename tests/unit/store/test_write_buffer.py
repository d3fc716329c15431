"""After many writes, etcd gets leases that let it release its buffer."""

from __future__ import annotations

from factstore.core.errors import StorageFull
from factstore.store.write_buffer import LEASE_SECONDS, MANY, ROUNDS, WriteBuffer


class Etcd:
    """Counts the leases."""

    def __init__(self) -> None:
        self.granted: list[tuple[int, float]] = []
        self.full = False

    def grant(self, ttl: int, lease: int = 0, *, deadline: float) -> int:
        self.granted.append((ttl, deadline))
        if self.full:
            raise StorageFull("etcd is full")
        return len(self.granted)


def test_leases_are_made_in_some_rounds_after_many_writes() -> None:
    etcd, revisions = Etcd(), iter([5000, 5000 + MANY, *[5000 + 2 * MANY] * (ROUNDS + 2)])
    buffer = WriteBuffer(etcd, lambda: next(revisions))
    counts = []
    for deadline in range(ROUNDS + 4):
        buffer.release(deadline)
        counts.append(len(etcd.granted))
    # The first round knows nothing of the writes before it.
    assert counts == [0, 1, 2, *[1 + ROUNDS] * (ROUNDS + 1)]
    assert etcd.granted[0] == (LEASE_SECONDS, 1)


def test_few_writes_need_no_lease() -> None:
    etcd = Etcd()
    revisions = iter(range(0, 10 * (MANY - 1), MANY - 1))
    buffer = WriteBuffer(etcd, lambda: next(revisions))
    for _ in range(10):
        buffer.release(0)
    assert etcd.granted == []


def test_a_store_that_is_read_again_from_before_needs_none() -> None:
    etcd, revisions = Etcd(), iter([5000, 10, 11])
    buffer = WriteBuffer(etcd, lambda: next(revisions))
    for _ in range(3):
        buffer.release(0)
    assert etcd.granted == []


def test_a_full_store_is_left_alone() -> None:
    etcd, revisions = Etcd(), iter([0, MANY])
    etcd.full = True
    buffer = WriteBuffer(etcd, lambda: next(revisions))
    for _ in range(2):
        buffer.release(0)
    assert len(etcd.granted) == 1
