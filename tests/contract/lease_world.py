"""An etcd whose leases expire by the clock of a test, and workers whose calls the test interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from factstore.core.model.event import Step
from factstore.core.ports import Transaction
from factstore.core.services.lease_monitor import LeaseMonitor
from factstore.store.client.leases import seconds_since_renewal
from factstore.store.etcd import EtcdBackend
from factstore.store.keyspace import Keyspace
from factstore.store.types import Credentials
from tests.contract.lagging_backend import ManualWorker
from tests.contract.world import TIMEOUT, WINDOW, soon
from tests.patient_client import PatientClient
from tests.unit.core.factories import ManualClock

LONG = 10**7  # seconds, so that no lease expires by etcd's own clock


class Leases:
    """The leases that etcd has, by the clock of the test, and what its former leaders know of them.

    :ivar renewed: called with each lease that etcd has renewed.
    """

    def __init__(self, clock: ManualClock, raw: PatientClient) -> None:
        self._clock = clock
        self._raw = raw
        self._found: dict[int, tuple[int, float]] = {}  # ttl, and the instant of the renewal
        self._known: dict[
            int, float
        ] = {}  # when the first former leader that knows it calls it over
        self.term = 100
        self.renewed: Callable[[int], object] = lambda lease: None

    def add(self, lease: int, ttl: int) -> None:
        self._found[lease] = ttl, self._clock.now

    def renew(self, lease: int, really: Callable[[], bool]) -> bool:
        if lease in self._found and self._remaining(lease) <= 0:
            self.revoke(lease)  # etcd answers once it has done so
        if not really():
            return False
        self.add(lease, self._found[lease][0])
        self.renewed(lease)
        return True

    def drop(self, lease: int) -> None:
        self._found.pop(lease, None)

    def revoke(self, lease: int) -> None:
        self._raw.revoke(lease, deadline=soon())
        self.drop(lease)

    def _remaining(self, lease: int) -> float:
        ttl, since = self._found[lease]
        return since + ttl - self._clock.now

    def time_to_live(self, lease: int) -> Any:
        if lease not in self._found:
            return SimpleNamespace(grantedTTL=0, TTL=-1)
        return SimpleNamespace(grantedTTL=self._found[lease][0], TTL=int(self._remaining(lease)))

    def expire(self) -> None:
        """Revoke all leases that have expired."""
        for lease in [each for each in self._found if self._remaining(each) <= 0]:
            self.revoke(lease)

    def elect(self) -> None:
        """Elect another leader, which gives all leases their whole time."""
        self.term += 1
        for lease, (ttl, since) in list(self._found.items()):
            self._known.setdefault(lease, since + ttl)
            self.add(lease, ttl)

    def former_leader_revokes(self, lease: int) -> bool:
        """Revoke a lease as a former leader does, if its time is over for that one."""
        if lease not in self._found or self._known.get(lease, self._clock.now) >= self._clock.now:
            return False
        self.revoke(lease)
        return True

    def forget_all(self) -> None:
        """Revoke all leases."""
        for lease in list(self._found):
            self.revoke(lease)
        self._known.clear()


class LeaseClient(PatientClient):
    """A client whose calls about leases the test can interrupt.

    :ivar point: called with the name of each call, before and after it.
    :ivar started: the renewals that were started without waiting, with what they call.
    """

    def __init__(self, endpoint: str, leases: Leases) -> None:
        super().__init__([endpoint], Credentials())
        self._leases = leases
        self.point: Callable[[str], object] = lambda name: None
        self.started: list[Renewal] = []
        self.loop.renew = self._start_renewal  # type: ignore[method-assign]

    def _start_renewal(self, lease: int, ended: Callable[[bool | None], object]) -> bool:
        self.started.append(
            Renewal(lambda: self._leases.renew(lease, lambda: self._renew(lease)), ended)
        )
        return True

    def _renew(self, lease: int) -> bool:
        return super().renew(lease, deadline=soon())

    def grant(self, ttl: int, lease: int = 0, *, deadline: float) -> int:
        self.point("grant")
        made = super().grant(LONG, lease, deadline=soon())
        self._leases.add(made, ttl)
        self.point("granted")
        return made

    def grant_in_term(self, ttl: int, lease: int, *, deadline: float) -> int:
        self.point("grant")
        super().grant_in_term(LONG, lease, deadline=soon())
        self._leases.add(lease, ttl)
        term = self._leases.term
        self.point("granted")
        return term

    def term(self, key: bytes, *, deadline: float) -> int:
        self.point("term")
        return self._leases.term

    def renew(self, lease: int, *, deadline: float) -> bool:
        self.point("renew")
        done = self._leases.renew(lease, lambda: self._renew(lease))
        self.point("renewed")
        return done

    def revoke(self, lease: int, *, deadline: float) -> None:
        self.point("revoke")
        self._leases.revoke(lease)

    def time_to_live(self, lease: int, *, deadline: float) -> Any:
        found = self._leases.time_to_live(lease)
        self.point("age")
        return found

    def seconds_since_renewal(self, lease: int, *, deadline: float) -> float:
        return seconds_since_renewal(self._leases.time_to_live(lease))


class Renewal:
    """A renewal that a worker has started, and that etcd receives and answers when the test lets it."""

    def __init__(self, renew: Callable[[], bool], ended: Callable[[bool | None], object]) -> None:
        self._renew = renew
        self._ended = ended
        self._done: bool | None = None

    def arrive(self) -> None:
        if self._done is None:
            self._done = self._renew()

    def lose(self) -> None:
        """Let it have no answer, as after a timeout."""
        self._ended(None)

    def answer(self) -> None:
        self.arrive()
        self._ended(self._done)


class HeldBackend(EtcdBackend):
    """A backend whose worker sees no revisions but those for which it has asked.

    :ivar seen: the newest revision that it sees.
    """

    seen = float("inf")
    client: LeaseClient

    def __init__(self, client: LeaseClient, keys: Keyspace, clock: ManualClock) -> None:
        super().__init__(client, keys, clock, window=WINDOW, timeout=TIMEOUT)
        self.client = client
        self._moved = threading.Condition()

    def see(self, revision: float) -> None:
        with self._moved:
            self.seen = max(self.seen, revision)
            self._moved.notify_all()

    def hold(self, revision: float) -> None:
        self.seen = revision

    def follow(self, after: int) -> Iterator[Step]:
        for step in super().follow(after):
            with self._moved:
                self._moved.wait_for(lambda at=step.revision: at <= self.seen)
            yield step

    def head(self, deadline: float) -> int:
        revision = super().head(deadline)
        self.see(revision)
        return revision

    def bump_revision(self, deadline: float) -> int:
        revision = super().bump_revision(deadline)
        self.see(revision)
        return revision

    def raise_fence(self, deadline: float) -> int:
        revision = super().raise_fence(deadline)
        self.see(revision)
        return revision

    def commit(self, transaction: Transaction, deadline: float) -> int | None:
        self.client.point("commit")
        revision = super().commit(transaction, self._clock.monotonic() + TIMEOUT)
        if revision is not None:
            self.see(revision)
        self.client.point("committed")
        return revision

    def interrupt(self) -> None:
        self.see(float("inf"))
        super().interrupt()


class HeldWorker(ManualWorker):
    """A worker with a backend that is held."""

    backend: HeldBackend
    credentials = Credentials()

    def __init__(self, endpoint: str, keys: Keyspace, clock: ManualClock, leases: Leases) -> None:
        self.client = LeaseClient(endpoint, leases)
        super().__init__(HeldBackend(self.client, keys, clock), clock=clock)
        self._clock = clock
        self.writes = 0
        carry_out = self.transactor._carry_out

        def count(*arguments: Any, **options: Any) -> Any:
            self.writes += 1
            try:
                return carry_out(*arguments, **options)
            finally:
                self.writes -= 1

        self.transactor._carry_out = count  # type: ignore[method-assign]
        self.start()

    def renew_monitor(self) -> None:
        """Give the worker a monitor that has just started."""
        self.lease_monitor = LeaseMonitor(
            self.store, self._clock, TIMEOUT, self.transactor, self._signal
        )

    def see_some(self, revisions: int) -> None:
        """Let the state see some more revisions, if there are as many."""
        self.backend.see(self.store.state().revision + revisions)

    def stop(self) -> None:
        self.backend.see(float("inf"))
        super().stop()
        self.backend.interrupt()
        self.backend.close()
