"""The calls of a store that its backend answers: reads of the past, and leases."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from factstore.core.lease_store import OtherWorker
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.pulse import Pulse
from factstore.core.model.record import R
from factstore.core.ports import Backend


class PassedCalls:
    """Passes calls on to a backend; see :class:`~factstore.core.ports.Backend`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def facts_at(
        self, stack: Stack, prefix: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Fact]:
        return self._backend.facts_at(stack, prefix, after, limit, revision, deadline)

    def stacks_at(
        self, project_id: str, after: str, limit: int, revision: int, deadline: float
    ) -> list[Stack]:
        return self._backend.stacks_at(project_id, after, limit, revision, deadline)

    def records_at(self, stack: Stack, kind: type[R], revision: int, deadline: float) -> list[R]:
        return self._backend.records_at(stack, kind, revision, deadline)

    def create_lease(self, ttl: int, deadline: float) -> int:
        return self._backend.create_lease(ttl, deadline)

    def create_monitored_lease(self, ttl: int, deadline: float) -> tuple[int, Pulse | None]:
        return self._backend.create_monitored_lease(ttl, deadline)

    def create_pulse(self, lease: int, ttl: int, deadline: float) -> Pulse:
        return self._backend.create_pulse(lease, ttl, deadline)

    def last_renewal(self, lease: int) -> float:
        return self._backend.last_renewal(lease)

    def renewals_under_way(self) -> Collection[int]:
        return self._backend.renewals_under_way()

    def sign_roll(self, deadline: float) -> None:
        self._backend.sign_roll(deadline)

    def answer_roll(self, at: Cursor, deadline: float) -> None:
        self._backend.answer_roll(at, deadline)

    def other_workers(self, deadline: float) -> list[OtherWorker]:
        return self._backend.other_workers(deadline)

    def seconds_since_renewal(self, lease: int, deadline: float) -> float:
        return self._backend.seconds_since_renewal(lease, deadline)

    def seconds_since_renewals(self, leases: Sequence[int], deadline: float) -> list[float]:
        return self._backend.seconds_since_renewals(leases, deadline)

    def forget_renewals(self, used: Collection[int]) -> None:
        self._backend.forget_renewals(used)

    def term(self, deadline: float) -> int:
        return self._backend.term(deadline)

    def renew_lease(self, lease: int, deadline: float) -> bool:
        return self._backend.renew_lease(lease, deadline)

    def start_renewal(self, lease: int, ended: Callable[[bool | None], object]) -> bool:
        return self._backend.start_renewal(lease, ended)

    def revoke_lease(self, lease: int, deadline: float) -> None:
        self._backend.revoke_lease(lease, deadline)

    def revoke_leases(self, leases: Sequence[int], deadline: float) -> None:
        self._backend.revoke_leases(leases, deadline)

    def revoke_expired(self, leases: Sequence[int], deadline: float) -> int:
        return self._backend.revoke_expired(leases, deadline)

    def deletion_revision(self, author: DeletionAuthor, after: int, deadline: float) -> int | None:
        return self._backend.deletion_revision(author, after, deadline)
