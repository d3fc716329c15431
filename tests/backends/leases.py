"""The leases of the memory backend: their attached keys and their expiry.

There is no lock; callers hold that of the backend.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, field

from factstore.core.model.event import DropFact, DropRecord, Mutation
from factstore.core.model.record import RecordKey
from factstore.core.ports import Clock

Key = tuple[str, str | RecordKey]
"""The id of a stack, and the path of a fact or the key of a record."""


@dataclass(slots=True)
class _Lease:
    ttl: int
    expires_at: float
    keys: set[Key] = field(default_factory=set)


class MemoryLeases:
    """All leases that have not expired."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[int, _Lease] = {}

    def __contains__(self, lease_id: int) -> bool:
        return lease_id in self._leases

    def create(self, ttl: int) -> int:
        """Create a lease and return its id."""
        lease_id = secrets.randbits(62) | 1  # no monitored one
        self._leases[lease_id] = _Lease(ttl, self._clock.monotonic() + ttl)
        return lease_id

    def renew(self, lease_id: int) -> bool:
        """Renew a lease; return False if it has expired."""
        lease = self._leases.get(lease_id)
        if lease is not None:
            lease.expires_at = self._clock.monotonic() + lease.ttl
        return lease is not None

    def age(self, lease_id: int) -> float:
        """Return the seconds since a lease was created or renewed; infinity if it has expired."""
        lease, now = self._leases.get(lease_id), self._clock.monotonic()
        if lease is None or lease.expires_at <= now:
            return math.inf
        return lease.ttl - (lease.expires_at - now)

    def revoke(self, lease_id: int) -> list[Mutation]:
        """Revoke a lease, and return the deletions of its keys."""
        lease = self._leases.pop(lease_id, None)
        return [_drop(*key) for key in sorted(lease.keys, key=_etcd_order)] if lease else []

    def attach(self, key: Key, lease_id: int) -> None:
        """Attach a key to a lease, or with 0 to none, and detach it from any other."""
        self.detach(key)
        if lease_id:
            self._leases[lease_id].keys.add(key)

    def detach(self, key: Key) -> None:
        """Detach a key from its lease."""
        for lease in self._leases.values():
            lease.keys.discard(key)

    def expired(self) -> list[int]:
        """Return the ids of the leases that have expired but are not revoked yet."""
        now = self._clock.monotonic()
        return [lease_id for lease_id, lease in self._leases.items() if lease.expires_at <= now]

    def seconds_to_next_expiry(self) -> float | None:
        """Return the seconds until the next lease expires, or None if there is no lease."""
        times = [lease.expires_at for lease in self._leases.values()]
        return max(0.0, min(times) - self._clock.monotonic()) if times else None

    def clear(self) -> None:
        """Delete all leases, but not their keys."""
        self._leases.clear()


def _etcd_order(key: Key) -> tuple[str, str, str]:
    """Return the order of etcd, in which facts precede their member."""
    stack_id, name = key
    return (
        (stack_id, name.kind.__name__.lower(), name.name)
        if isinstance(name, RecordKey)
        else (stack_id, "fact", name)
    )


def _drop(stack_id: str, name: str | RecordKey) -> Mutation:
    if isinstance(name, RecordKey):
        return DropRecord(stack_id, name)
    return DropFact(stack_id, name)
