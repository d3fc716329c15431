"""The leases of a database, as the domain uses them.

Deadlines are those of :mod:`factstore.core.ports`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

from factstore.core.model.cursor import Cursor
from factstore.core.model.pulse import Pulse


class OtherWorker(NamedTuple):
    """Another worker, which may have been lost.

    :param answered: the revision up to which it has restored the pulses that it has renewed.
    :param silent_seconds: the time since it was certainly alive; less after an election.
    """

    answered: int
    silent_seconds: float


class LeaseStore(Protocol):
    """Leases: plain ones, which the database ends, and monitored ones, which the service ends."""

    def create_lease(self, ttl: int, deadline: float) -> int:
        """Return a new lease, which expires no earlier than *ttl* seconds after its last renewal."""

    def create_monitored_lease(self, ttl: int, deadline: float) -> tuple[int, Pulse | None]:
        """Return a new monitored lease, and its pulse, which the caller has to store.

        :return: a plain lease and None, if leases never end early in this database.
        """

    def create_pulse(self, lease: int, ttl: int, deadline: float) -> Pulse:
        """Return another pulse of a monitored lease, which the caller has to store."""

    def renew_lease(self, lease: int, deadline: float) -> bool:
        """Restart the time of a lease; return False if the lease, or its pulse, has expired."""

    def last_renewal(self, lease: int) -> float:
        """Return the instant of this process's last renewal of a monitored lease, or minus infinity."""

    def renewals_under_way(self) -> Collection[int]:
        """Return the monitored leases that this process is about to renew, without a result yet."""

    def sign_roll(self, deadline: float) -> None:
        """Show the other workers that this one is alive, and may have renewed leases."""

    def answer_roll(self, at: Cursor, deadline: float) -> None:
        """Tell the other workers up to which revision this one has restored pulses.

        :raises CursorExpired: the store is no longer that of the cursor.
        """

    def other_workers(self, deadline: float) -> list[OtherWorker]:
        """Return the other workers, with those that were lost in the last day."""

    def seconds_since_renewal(self, lease: int, deadline: float) -> float:
        """Return the seconds since any worker renewed a lease; infinity if it has expired.

        Of a monitored lease, it is the time since a worker of an earlier version renewed it itself.
        """

    def seconds_since_renewals(self, leases: Sequence[int], deadline: float) -> list[float]:
        """Return :meth:`seconds_since_renewal` of several leases, in their order."""

    def forget_renewals(self, used: Collection[int]) -> None:
        """Forget the renewals of all leases but those that are used."""

    def term(self, deadline: float) -> int:
        """Return the term of the database's leader, which is another one after each election."""

    def revoke_lease(self, lease: int, deadline: float) -> None:
        """Revoke a lease and delete everything attached to it."""

    def revoke_leases(self, leases: Sequence[int], deadline: float) -> None:
        """Revoke leases side by side, and delete everything attached to them.

        Those of the pulses of monitored leases stay.
        """

    def revoke_expired(self, leases: Sequence[int], deadline: float) -> int:
        """Revoke the leases of those pulses of monitored leases that have expired; return their number.

        The database revokes them, too, but etcd not more than a thousand in a second.
        """

    def start_renewal(self, lease: int, ended: Callable[[bool | None], object]) -> bool:
        """Start :meth:`renew_lease` without waiting; return False if that is not possible.

        :param ended: called with the result, or with None if :meth:`renew_lease` has to be called.
        """
