"""Leases in etcd: plain ones, and monitored ones with the leases of their pulses.

A monitored lease is never renewed, except by workers of earlier versions, which do not know pulses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from factstore.core.lease_store import OtherWorker
from factstore.core.model.cursor import Cursor
from factstore.core.model.pulse import Pulse, is_monitored, monitored, pulse_lease
from factstore.core.ports import Clock
from factstore.store.client import EtcdClient, Failure
from factstore.store.client.leases import (
    REVOKE,
    TIME_TO_LIVE,
    has_expired,
    question_of_age,
    revocation,
    seconds_since_renewal,
    time_to_live,
)
from factstore.store.head import Head
from factstore.store.keyspace import Keyspace
from factstore.store.renewals import Renewals
from factstore.store.roll import Roll
from factstore.store.types import LeaseExists

LEASE_MARGIN = 1  # a lease starts before the write that it is for
UNENDING = 10 * 365 * 86_400
"""Seconds: no leader of etcd is paused for so long, and continues."""


class EtcdLeases:
    """The leases of one store, and the renewals that this worker has passed on."""

    def __init__(self, client: EtcdClient, keyspace: Keyspace, clock: Clock) -> None:
        self._client = client
        self._keys = keyspace
        self._clock = clock
        self._renewals = Renewals(clock)
        self._head = Head(client, keyspace)
        self._roll = Roll(client, keyspace, self._head)
        self._term = 0  # as far as it is known

    def create_lease(self, ttl: int, deadline: float) -> int:
        """Create a lease with a ttl in seconds, and return its id."""
        while True:
            lease = self._keys.new_lease()
            with suppress(LeaseExists):
                return self._client.grant(ttl + LEASE_MARGIN, lease, deadline=deadline)

    def create_monitored_lease(self, ttl: int, deadline: float) -> tuple[int, Pulse | None]:
        """Create a monitored lease; return its id and its pulse."""
        while True:
            lease = monitored(self._keys.new_lease())
            with suppress(LeaseExists):
                self._client.grant(UNENDING, lease, deadline=deadline)
                break
        # The term of the answer may begin after the lease was created; one that is known before cannot.
        term = self._term or self.term(deadline)
        pulse, answered = self._pulse(lease, ttl, deadline)
        self._term = answered
        return lease, replace(pulse, term=term if term == answered else 0)

    def create_pulse(self, lease: int, ttl: int, deadline: float) -> Pulse:
        """Return another pulse of a monitored lease, on a lease that has just been created or renewed.

        Its term counts as unknown: a former leader may revoke the lease even if it was created after
        the election, because the former lease had the same id.
        """
        return self._pulse(lease, ttl, deadline)[0]

    def _pulse(self, lease: int, ttl: int, deadline: float) -> tuple[Pulse, int]:
        """Return a pulse, and the term when it was created; 0 if its lease existed."""
        term, on = 0, pulse_lease(lease)
        while True:
            with suppress(LeaseExists):
                term = self._client.grant_in_term(ttl + LEASE_MARGIN, on, deadline=deadline)
                break
            if self._client.renew(on, deadline=deadline):
                break
        self._renewals.note(lease)
        return Pulse(f"{lease:x}", lease=on), term

    def renew_lease(self, lease: int, deadline: float) -> bool:
        """Renew a lease, or the pulse of a monitored one; return False if it has expired."""
        if not is_monitored(lease):
            return self._client.renew(lease, deadline=deadline)
        number, renewed = self._renewals.begin(lease), False
        try:
            renewed = self._client.renew(pulse_lease(lease), deadline=deadline)
        finally:
            self._renewals.end(number, lease, renewed=renewed)
        return renewed

    def start_renewal(self, lease: int, ended: Callable[[bool | None], object]) -> bool:
        """Start :meth:`renew_lease` without waiting; return False if that is not possible."""
        if not is_monitored(lease):
            return self._client.loop.renew(lease, ended)
        number = self._renewals.begin(lease)

        def end(renewed: bool | None) -> None:
            self._renewals.end(number, lease, renewed=bool(renewed))
            ended(renewed)

        started = self._client.loop.renew(pulse_lease(lease), end)
        if not started:
            self._renewals.end(number, lease, renewed=False)
        return started

    def last_renewal(self, lease: int) -> float:
        """Return the instant of the last renewal of a monitored lease by this worker."""
        return self._renewals.last(lease)

    def renewals_under_way(self) -> Collection[int]:
        """Return the monitored leases with a renewal by this worker that has not ended."""
        return self._renewals.under_way()

    def sign_roll(self, deadline: float) -> None:
        """Show the other workers that this one is alive, and may have renewed leases."""
        self._roll.sign(deadline)

    def answer_roll(self, at: Cursor, deadline: float) -> None:
        """Tell the other workers up to which revision this one has restored pulses."""
        self._roll.answer(at, deadline)

    def other_workers(self, deadline: float) -> list[OtherWorker]:
        """Return the other workers, with those that were lost in the last day."""
        return self._roll.others(deadline)

    def seconds_since_renewal(self, lease: int, deadline: float) -> float:
        """Return the seconds since a lease was created or renewed; infinity if it has expired."""
        return self._client.seconds_since_renewal(lease, deadline=deadline)

    def seconds_since_renewals(self, leases: Sequence[int], deadline: float) -> list[float]:
        """Return :meth:`seconds_since_renewal` of several leases, in their order."""
        return [seconds_since_renewal(each) for each in self._times_to_live(leases, deadline)]

    def revoke_expired(self, leases: Sequence[int], deadline: float) -> int:
        """Revoke the leases of pulses that have expired, and return their number."""
        pulses = list(map(pulse_lease, leases))
        answers = self._times_to_live(pulses, deadline)
        expired = [pulse for pulse, each in zip(pulses, answers, strict=True) if has_expired(each)]
        self.revoke_leases(expired, deadline)
        return len(expired)

    def _times_to_live(self, leases: Sequence[int], deadline: float) -> list[Any]:
        """Return what etcd answers about the time of leases, which it is asked side by side."""
        client, requests = self._client, list(map(question_of_age, leases))
        answers = client.loop.call_all("lease_time_to_live", TIME_TO_LIVE, requests)
        return [
            client.time_to_live(lease, deadline=deadline)
            if isinstance(answer, Failure)
            else time_to_live(answer)
            for lease, answer in zip(leases, answers, strict=True)
        ]

    def forget_renewals(self, used: Collection[int]) -> None:
        """Forget the renewals of all leases but those that are used."""
        self._renewals.forget_others(used)

    def term(self, deadline: float) -> int:
        """Return etcd's term, which is another one after each election."""
        return self._client.term(self._keys.epoch, deadline=deadline)

    def revoke_lease(self, lease: int, deadline: float) -> None:
        """Revoke a lease, with that of its pulse, and delete the keys that are attached to it."""
        self._client.revoke(lease, deadline=deadline)
        if is_monitored(lease):
            self._client.revoke(pulse_lease(lease), deadline=deadline)
            self._renewals.forget(lease)

    def revoke_leases(self, leases: Sequence[int], deadline: float) -> None:
        """Revoke leases, but not those of their pulses, and delete the keys attached to them."""
        requests = list(map(revocation, leases))
        answers = self._client.loop.call_all("lease_revoke", REVOKE, requests)
        for lease, answer in zip(leases, answers, strict=True):
            if answer in (Failure.LOST, Failure.REFUSED):
                self._client.revoke(lease, deadline=deadline)
            self._renewals.forget(lease)
