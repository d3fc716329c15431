"""The leases of one write: chosen before it, renewed or revoked after it, as it turns out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from factstore.core.errors import FactstoreError
from factstore.core.model.fact import Scope
from factstore.core.model.pulse import Pulse, is_monitored
from factstore.core.model.record import RecordKey
from factstore.core.model.transaction import Transaction
from factstore.core.model.waiter import Waiter
from factstore.core.operations.operation import Draft, LeaseRequest
from factstore.core.ports import Clock, Store

PROMPT_SECONDS = 0.5  # a store's leases last somewhat longer than was asked


class WriteLeases:
    """The leases that one write creates, keeps and replaces.

    A lease that was created for an earlier plan of the same write is used again.
    """

    def __init__(
        self, store: Store, scope: Scope, clock: Clock, deadline: float, timeout: float
    ) -> None:
        """:param timeout: seconds for all calls together that follow the write."""
        self._store = store
        self._scope = scope
        self._clock = clock
        self._deadline = deadline
        self._timeout = timeout
        self._created: dict[tuple[str | RecordKey, int], int] = {}
        self._pulses: dict[int, Pulse] = {}  # by the lease that they are made with
        self._restoring: dict[int, int] = {}  # the leases of pulses, by the monitored leases
        self._used: set[int] = set()
        self._shared: set[int] = set()
        self._chosen_at = 0.0

    def attach(
        self, transaction: Transaction, leases: Mapping[str | RecordKey, LeaseRequest]
    ) -> Transaction:
        """Return the transaction with its facts and records attached to leases."""
        self._used = set()
        if not leases:
            return transaction
        self._chosen_at = self._clock.monotonic()
        chosen: dict[int, int] = {}
        found: dict[str | RecordKey, int] = {}
        for key, request in leases.items():
            if id(request) not in chosen:
                chosen[id(request)] = self._choose(key, request)
            found[key] = chosen[id(request)]
        new = {lease for lease in chosen.values() if is_monitored(lease) and lease in self._pulses}
        self._used = {chosen[id(request)] for request in leases.values() if not request.brief}
        self._shared = {chosen[id(request)] for request in leases.values() if request.shared}
        return replace(
            transaction,
            puts=tuple([_attached(fact, found.get(fact.path)) for fact in transaction.puts]),
            records=tuple(
                [
                    self._pulses[found[record.record_key]]
                    if isinstance(record, Pulse)
                    else _attached(record, found.get(record.record_key))
                    for record in transaction.records
                ]
                + [self._pulses[lease] for lease in sorted(new)]
            ),
        )

    def _choose(self, key: str | RecordKey, request: LeaseRequest) -> int:
        """Return a lease for a request."""
        if request.pulse_of:
            pulse = self._store.create_pulse(request.pulse_of, request.ttl, self._deadline)
            self._pulses[pulse.lease] = pulse
            self._restoring[request.pulse_of] = pulse.lease
            return pulse.lease
        if request.keep and (
            request.shared or self._store.renew_lease(request.keep, self._deadline)
        ):
            return request.keep
        known = self._created.get((key, request.ttl))
        # A lease of an earlier plan has lost part of its time, and may have ended.
        if known is None or not self._store.renew_lease(known, self._deadline):
            known = self._create(request)
            self._created[key, request.ttl] = known
        return known

    def _create(self, request: LeaseRequest) -> int:
        if not request.monitored:
            return self._store.create_lease(request.ttl, self._deadline)
        lease, pulse = self._store.create_monitored_lease(request.ttl, self._deadline)
        if pulse is not None:
            self._pulses[lease] = pulse
        return lease

    def renew(self, draft: Draft[Any]) -> bool:
        """Renew the leases that must be alive; return False if one has just ended after all.

        The renewal of a pulse that has stopped may succeed, while others restore it, or try to.
        """
        if not draft.renews:
            return True
        if not all(self._store.renew_lease(lease, self._deadline) for lease in draft.renews):
            return False
        state = self._store.refresh(self._deadline)
        return not any(
            state.has_stopped(self._scope, lease) or state.has_ended(self._scope, lease)
            for lease in draft.renews
        )

    def settle(self, draft: Draft[Any], epoch: str) -> None:
        """Revoke what the durable write left or did not take.

        A time to live counts from the answer, not from before a write that took long.

        :param epoch: of the store that was written.  In another one, which was restored from a backup,
            the leases may have what the write has replaced.
        """
        if self._store.state().epoch != epoch:
            return
        end = self._clock.monotonic() + self._timeout
        if self._used and self._clock.monotonic() - self._chosen_at > PROMPT_SECONDS:
            with suppress(FactstoreError):  # the write is durable whatever the store does now
                for lease in self._used - self._shared:
                    self._store.renew_lease(lease, end)
        self._revoke((set(draft.ends) | set(self._created.values())) - self._used, end)
        self._revoke(self._useless_pulses(), end)

    def release(self) -> None:
        """Revoke all leases that were created: the write did not happen."""
        end = self._clock.monotonic() + self._timeout
        self._revoke(set(self._created.values()), end)
        with suppress(FactstoreError):
            self._revoke(self._useless_pulses(), end)

    def _useless_pulses(self) -> set[int]:
        """Return the leases that were created for pulses, but too late to restore these.

        Until they expire, renewals of leases that have ended would succeed.
        """
        if not self._restoring:
            return set()
        state = self._store.state()
        with state.read():
            return {
                pulse
                for lease, pulse in self._restoring.items()
                if state.has_ended(self._scope, lease)
            }

    def _revoke(self, leases: set[int], end: float) -> None:
        """Revoke leases until an instant.

        The rest of them end by themselves, except monitored ones, which workers revoke after an hour.
        """
        with suppress(FactstoreError):
            for lease in leases - {0}:
                if self._clock.monotonic() >= end:
                    return
                self._store.revoke_lease(lease, end)


def _attached(item: Any, lease: int | None) -> Any:
    if lease is None:
        return item
    if isinstance(item, Waiter):  # its timer is on the lease; the waiter itself stays
        return replace(item, timer=lease)
    return replace(item, lease=lease)
