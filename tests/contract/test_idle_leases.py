"""Monitored leases that nothing is attached to are revoked, and no others."""

from __future__ import annotations

from factstore.core.model.fact import Scope
from factstore.core.model.pulse import pulse_lease
from factstore.store.idle_leases import IDLE_SECONDS, PERIOD, IdleLeases
from tests.contract.membership import join
from tests.contract.world import EtcdWorld, soon
from tests.unit.core.factories import ManualClock

TTL = 7200


def test_a_lease_is_revoked_once_nothing_was_attached_to_it_for_an_hour(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    worker = etcd_world.worker()
    join(worker, scope, ttl=TTL)
    worker.put(scope, "mortal", ttl=TTL)
    used = {worker.members.get(scope, "c1").lease, worker.facts.get(scope, "mortal").fact.lease}
    # As if a worker had been killed before its write.
    idle, _ = worker.backend.create_monitored_lease(TTL, soon())
    late, _ = worker.backend.create_monitored_lease(TTL, soon())
    clock = ManualClock()
    leases = IdleLeases(etcd_world.raw, etcd_world.keys, clock, worker.store.state)

    def present() -> set[int]:
        leases.revoke(soon())
        return set(etcd_world.raw.leases(deadline=soon()))

    clock.advance(PERIOD)
    for _ in range(int(IDLE_SECONDS / PERIOD)):
        assert {*used, idle, late} <= present()
        clock.advance(PERIOD)
    # A key that the state does not know, as of a later version.
    worker.backend.renew_lease(late, soon())
    etcd_world.attach(b"/strangers/key", late)
    found = present()
    assert {*used, late} <= found
    assert not {idle, pulse_lease(idle)} & found
