"""The leases of the memory backend: what hangs on each, and when each ends.

It has no lock; who calls it holds the backend's.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from factstore.core.model.event import DropFact, DropRecord, Mutation
from factstore.core.model.record_key import RecordKey
from factstore.core.ports import Clock

Key = tuple[str, str | RecordKey]
"""A stack's id, and a fact's path or a record's place."""


@dataclass(slots=True)
class _Lease:
    ttl: int
    ends: float
    keys: set[Key] = field(default_factory=set)


class Leases:
    """All leases that have not ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[int, _Lease] = {}

    def __contains__(self, lease: int) -> bool:
        return lease in self._held

    def grant(self, ttl: int) -> int:
        """A new lease."""
        lease = secrets.randbits(62) + 1
        self._held[lease] = _Lease(ttl, self._clock.monotonic() + ttl)
        return lease

    def renew(self, lease: int) -> bool:
        """Start a lease's time anew; False when it has ended."""
        held = self._held.get(lease)
        if held is not None:
            held.ends = self._clock.monotonic() + held.ttl
        return held is not None

    def end(self, lease: int) -> list[Mutation]:
        """End a lease; what goes with it."""
        held = self._held.pop(lease, None)
        return [_drop(*key) for key in sorted(held.keys, key=_etcd_order)] if held else []

    def hang(self, key: Key, lease: int) -> None:
        """Let a key go with a lease, or with lease 0 stay; it hangs on no other any more."""
        self.release(key)
        if lease:
            self._held[lease].keys.add(key)

    def release(self, key: Key) -> None:
        """Let a key go with no lease."""
        for lease in self._held.values():
            lease.keys.discard(key)

    def overdue(self) -> list[int]:
        """The leases whose time is over."""
        now = self._clock.monotonic()
        return [lease for lease, held in self._held.items() if held.ends <= now]

    def until_next(self) -> float | None:
        """Seconds until the next lease ends; None if there is none."""
        ends = [held.ends for held in self._held.values()]
        return max(0.0, min(ends) - self._clock.monotonic()) if ends else None

    def clear(self) -> None:
        """Forget all of them, and what hangs on them."""
        self._held.clear()


def _etcd_order(key: Key) -> tuple[str, str, str]:
    """As etcd orders keys: a revoked lease's facts go before their member."""
    stack_id, what = key
    return (
        (stack_id, what.kind, what.name)
        if isinstance(what, RecordKey)
        else (stack_id, "fact", what)
    )


def _drop(stack_id: str, what: str | RecordKey) -> Mutation:
    if isinstance(what, RecordKey):
        return DropRecord(stack_id, what)
    return DropFact(stack_id, what)
