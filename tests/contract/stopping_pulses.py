"""Pulses that stop, and what workers know of them.

A leader of etcd that was paused revokes leases of whose renewals it does not know.  :func:`stop_pulses`
revokes the leases of pulses as it does.
"""

from __future__ import annotations

from collections.abc import Sequence

from factstore.core.model.fact import Scope
from factstore.core.model.pulse import Pulse, pulse_key, pulse_lease
from factstore.core.state.stack_leases import Stop
from tests.contract.world import EtcdWorld, Worker, soon

TTL = 600
ELECTED = 10**6  # a term after those of all elections so far


def after_election(worker: Worker) -> Worker:
    worker.backend.term = lambda deadline: ELECTED  # type: ignore[method-assign]
    return worker


def forget(worker: Worker) -> None:
    """Let a worker have renewed nothing, and no lease have been created recently."""
    worker.backend.forget_renewals(())
    worker.backend.seconds_since_renewals = lambda of, deadline: [TTL] * len(of)  # type: ignore[method-assign]


def leases(worker: Worker, scope: Scope) -> list[int]:
    """Return the leases of member c1 and of the fact that expires."""
    return [worker.members.get(scope, "c1").lease, worker.facts.get(scope, "mortal").fact.lease]


def stop_pulses(world: EtcdWorld, found: list[int]) -> None:
    for lease in found:
        world.raw.revoke(pulse_lease(lease), deadline=soon())


def stops(worker: Worker, scope: Scope, found: Sequence[int]) -> dict[int, Stop]:
    """Return the stops of the pulses of leases."""
    stack_state = worker.store.refresh(soon()).stack_state(scope)
    assert stack_state is not None
    return {lease: stack_state.stop(lease) for lease in found}


def beats(worker: Worker, scope: Scope, lease: int) -> bool:
    pulse = worker.store.refresh(soon()).record(scope, pulse_key(lease))
    return isinstance(pulse, Pulse) and not pulse.ended
