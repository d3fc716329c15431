"""Revokes the leases of pulses that have expired, when so many have that etcd is late.

etcd revokes at most 500 expired leases in half a second, so the last of some thousand members that die
together would be found seconds after the first.  This module asks etcd which other pulses have expired,
and does the same to them.  The lease monitor then treats them like any other pulse that has stopped.

Only pulses of the present term are looked at.  Their leader is the only one there was since they were
created, and it renews no lease that has expired: so what it calls expired has not been renewed and will
not be.  If another one is elected meanwhile, the lease monitor notices that the term has changed, and
restores what was renewed in time, as it does after the revocations of a former leader.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from factstore.core.model.fact import Scope
from factstore.core.ports import Clock, Store

ASKED = 1000  # pulses at most, in one round of the lease monitor
AT_ONCE = 50
WORTHWHILE = 5  # one of so many pulses has to have expired, or the rest is left to etcd


def revoke_expired_pulses(
    store: Store, clock: Clock, scopes: Sequence[Scope], term: int, timeout: float
) -> None:
    """Revoke the leases of pulses in some stacks that have expired, as far as that is worthwhile.

    Workers ask for random ones, so that they do not all revoke the same ones.

    :param term: etcd's present term.
    :param timeout: seconds after which a call to the store counts as failed.
    """
    state, now = store.state(), clock.monotonic()
    with state.read():
        running = [
            lease
            for scope in scopes
            if (stack_state := state.stack_state(scope)) is not None
            for lease, ttl in stack_state.leases.running(term)
            if now - store.last_renewal(lease) >= ttl
        ]
    some = random.sample(running, min(len(running), ASKED))
    for at in range(0, len(some), AT_ONCE):
        part = some[at : at + AT_ONCE]
        expired = store.revoke_expired(part, clock.monotonic() + timeout)
        if expired * WORTHWHILE < len(part):
            return
