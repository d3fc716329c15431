"""After many writes, etcd makes leases that the service does not count as its own."""

from __future__ import annotations

from factstore.store.write_buffer import MANY, ROUNDS, WriteBuffer
from tests.contract.world import EtcdWorld, soon


def test_many_writes_are_followed_by_leases_of_nobody(etcd_world: EtcdWorld) -> None:
    made: list[int] = []

    class Leases:
        def grant(self, ttl: int, lease: int = 0, *, deadline: float) -> int:
            made.append(etcd_world.raw.grant(ttl, lease, deadline=deadline))
            return made[-1]

    revisions = iter([0, *[MANY] * (ROUNDS + 2)])
    buffer = WriteBuffer(Leases(), lambda: next(revisions))
    for _ in range(ROUNDS + 3):
        buffer.release(soon())
    assert len(set(made)) == ROUNDS
    # So the search for unused leases ignores them.
    assert not any(map(etcd_world.keys.is_own_lease, made))
