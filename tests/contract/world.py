"""Workers on a database, as in production, and direct access to that database."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from factstore.core.history_store import Snapshot
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Step
from factstore.core.model.fact import Author, Fact, Kind, Put, Scope, Stack
from factstore.core.model.precondition import ANY, Precondition
from factstore.core.model.quota import Quota
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.keyring import NoKeyring
from factstore.core.ports import Backend, Clock, Transaction
from factstore.core.services.composition import build_services
from factstore.core.services.watch_filter import Filter
from factstore.core.services.written_facts import WrittenFacts
from factstore.store.client import EtcdClient
from factstore.store.etcd import EtcdBackend
from factstore.store.keyspace import Keyspace
from factstore.store.maintenance import Maintenance
from factstore.store.mirror import MirroredStore
from factstore.store.types import Credentials, DeleteKeys, PutKey, Txn
from factstore.watch.history import HistoryLimits
from factstore.watch.history_fill import HistoryFill
from factstore.watch.hub import Hub
from factstore.watch.pump import Pump
from factstore.wsgi.clock import SystemClock
from tests.backends.memory import MemoryBackend
from tests.eventually import eventually
from tests.patient_client import PatientClient

T = TypeVar("T")

CLOCK = SystemClock()
PROJECT = "5f0e" * 8
TIMEOUT = 60.0
RENEWAL_SECONDS = 0.2
"""The time between two renewals of a fact or a member that is to live."""
WINDOW = 1000

_numbers = itertools.count(1)


def soon() -> float:
    """Return a deadline for one call."""
    return CLOCK.monotonic() + TIMEOUT


def open_store(backend: Backend) -> Snapshot:
    """Open a backend, use its store, and return what that contains."""
    opening = backend.open()
    found = replace(opening, mutations=list(opening.mutations))
    found.use()
    return found


def author(user: str = "alice") -> Author:
    """Return an author with a request id of its own."""
    return Author(user, f"req-{next(_numbers)}")


def new_scope() -> Scope:
    """Return the scope of a stack that no other test uses."""
    return Scope(PROJECT, f"stack-{next(_numbers)}")


class Parking(threading.Event):
    """A wake-up that counts its waiting threads."""

    parked: threading.Semaphore

    def wait(self, timeout: float | None = None) -> bool:
        self.parked.release()
        return super().wait(timeout)


class Worker:
    """A mirrored store, its hub and pump, and the services over them.

    :param late: False to read the history before the start first, as notifiers do.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        history: int = 10_000,
        timeout: float = TIMEOUT,
        quota: Quota = Quota(),  # noqa: B008 - it is immutable
        encryption: Encryption = Encryption(NoKeyring()),  # noqa: B008 - it has no state
        stuck_seconds: float = 60.0,
        late: bool = True,
        clock: Clock = CLOCK,
    ) -> None:
        self.backend = backend
        self._parked = threading.Semaphore(0)
        self.store = MirroredStore(
            backend,
            clock,
            threading.Event,
            on_needs_write=lambda: self.services.waiter_controller.wake(),
        )
        self.hub = Hub(HistoryLimits(history, 10**8, 900), self._signal)
        self.pump = Pump(
            backend, self.store, self.hub, HistoryFill(backend, self.hub, clock) if late else None
        )
        self.services = build_services(
            self.store,
            self.hub,
            clock,
            new_id=lambda: uuid.uuid4().hex,
            new_wake_up=threading.Event,
            timeout=timeout,
            quotas=lambda project_id: quota,
            encryption=encryption,
            stuck_seconds=stuck_seconds,
            look_seconds=0.0,  # the tests make each look
        )
        self.transactor = self.services.transactor
        self.stacks = self.services.stacks
        self.facts = self.services.facts
        self.members = self.services.members
        self.read_sets = self.services.read_sets
        self.waiters = self.services.waiters
        self.waits = self.services.waits
        self.wait_monitor = self.services.wait_monitor
        self.grants = self.services.grants
        self.turns = self.services.turns
        self.convergence = self.services.convergence
        self.context = self.services.context
        self.watch = self.services.watch
        self.history = self.services.history
        self.waiter_controller = self.services.waiter_controller
        self.lease_monitor = self.services.lease_monitor

    def _signal(self) -> Parking:
        made = Parking()
        made.parked = self._parked
        return made

    def start(self, *, fill: bool = True) -> Worker:
        self.store.start()
        self.pump.start()
        assert self.pump.wait_ready(60)
        if fill:
            self.pump.fill_history()
        self.waiter_controller.start()
        self.lease_monitor.start()
        self.services.applied_reports.start()
        return self

    def stop(self) -> None:
        self.hub.close()
        self.services.applied_reports.stop()
        self.waiter_controller.stop()
        self.lease_monitor.stop()
        self.pump.stop()
        self.store.stop()
        self.backend.close()

    def waiting(
        self, threads: Executor, read: Callable[..., T], *args: Any, **options: Any
    ) -> Future[T]:
        """Let a reader begin to read, and return once it waits for events."""
        while self._parked.acquire(blocking=False):
            pass
        reading = threads.submit(read, *args, **options)
        assert self._parked.acquire(timeout=60)
        return reading

    def put(
        self,
        scope: Scope,
        path: str,
        value: object = 1,
        precondition: Precondition = ANY,
        *,
        idempotency: Idempotency | None = None,
        kind: Kind = "observed",
        ttl: int | None = None,
        by: Author | None = None,
        member: str | None = None,
        generation: str | None = None,
        fences: Collection[str] = (),
    ) -> WrittenFacts:
        wish = Put.of(path, value, kind, ttl, member=member, generation=generation)
        return self.facts.put(scope, wish, by or author(), precondition, idempotency, fences=fences)

    def batch(
        self,
        scope: Scope,
        paths: Sequence[str],
        *,
        member: str | None = None,
        fences: Collection[str] = (),
    ) -> WrittenFacts:
        wishes = [Put.of(path, 1, member=member) for path in paths]
        return self.facts.batch(scope, wishes, [], author(), fences=fences)

    def delete(
        self,
        scope: Scope,
        path: str,
        precondition: Precondition = ANY,
        *,
        fences: Collection[str] = (),
    ) -> WrittenFacts:
        return self.facts.delete(scope, path, author(), precondition, fences=fences)

    def cursor(self, revision: int) -> Cursor:
        """Return the cursor of a revision of the present store."""
        return Cursor(self.store.state().epoch, revision)

    def value(self, scope: Scope, path: str) -> str:
        return self.facts.get(scope, path).fact.text

    def paths(self, scope: Scope) -> list[str]:
        return [fact.path for fact in self.facts.list(scope, limit=1000).items]


class World(Protocol):
    """A database that any number of workers share."""

    def backend(self, *, window: int = WINDOW) -> Backend:
        """Return a backend with a connection of its own."""

    def worker(self, **options: object) -> Worker:
        """Return a running worker, which is stopped after the test."""

    def leftovers(self, stack: Stack) -> int:
        """Return the number of keys of a stack's facts and of its pending purge."""

    def write_foreign_key(self) -> None:
        """Write a foreign key into the same database."""

    def close(self) -> None: ...


class MemoryWorld:
    """All workers share one memory backend."""

    def __init__(self) -> None:
        self._backend = MemoryBackend(CLOCK)
        self._workers: list[Worker] = []

    def backend(self, *, window: int = WINDOW) -> MemoryBackend:
        return self._backend

    def worker(self, **options: object) -> Worker:
        made = Worker(self._backend, **options).start()  # type: ignore[arg-type]
        self._workers.append(made)
        return made

    def leftovers(self, stack: Stack) -> int:
        state = self._backend._state  # type: ignore[attr-defined]
        return sum(getattr(m, "stack_id", "") == stack.id for m in state.mutations())

    def write_foreign_key(self) -> None:
        self._backend.bump_revision(soon())

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._backend.close()


class EtcdWorld:
    """Each worker has an etcd client of its own; the test has a root of its own.

    :param is_shared: other tests use this etcd, too. Keys of this one that expire later would move its
        revision while those compare it.
    """

    def __init__(
        self,
        endpoint: str,
        make_client: Callable[[list[str], Credentials], EtcdClient] | None = None,
        *,
        is_shared: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._is_shared = is_shared
        self._make_client = make_client or (PatientClient if is_shared else EtcdClient)
        self.keys = Keyspace(f"/test/{uuid.uuid4().hex}")
        self.raw = PatientClient([endpoint], Credentials())
        self._workers: list[Worker] = []
        self._backends: list[EtcdBackend] = []

    def backend(self, *, window: int = WINDOW) -> EtcdBackend:
        client = self._make_client([self._endpoint], Credentials())
        made = EtcdBackend(client, self.keys, CLOCK, window=window, timeout=TIMEOUT)
        self._backends.append(made)
        return made

    def opened_backend(self) -> EtcdBackend:
        """Return a backend whose store has been opened, so that it can write."""
        made = self.backend()
        open_store(made)
        return made

    def worker(self, **options: object) -> Worker:
        made = Worker(self.backend(), **options).start()  # type: ignore[arg-type]
        self._workers.append(made)
        return made

    def leftovers(self, stack: Stack) -> int:
        data = self.keys.data(stack.project_id, stack.id)
        purge = self.keys.purge(stack.project_id, stack.id)
        found = self.raw.get(data.start, data.end, deadline=soon()).items
        return len(found) + len(self.raw.get(purge, deadline=soon()).items)

    def write_foreign_key(self) -> None:
        self.raw.transact(Txn([], [PutKey(b"/strangers/key", b"")]), deadline=soon())

    def attach(self, key: bytes, lease: int) -> None:
        """Write a foreign key that is attached to a lease."""
        self.raw.transact(Txn([], [PutKey(key, b"", lease)]), deadline=soon())

    def wipe_keys(self) -> None:
        """Delete all our keys, as if the disk had been replaced."""
        everything = self.keys.everything
        self.raw.transact(Txn([], [DeleteKeys(everything.start, everything.end)]), deadline=soon())

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        for backend in self._backends:
            backend.interrupt()
            backend.close()
        if self._is_shared:
            for lease in filter(self.keys.is_own_lease, self.raw.leases(deadline=soon())):
                self.raw.revoke(lease, deadline=soon())
        self.raw.close()


# Commits without the services


def make_stack(backend: Backend, scope: Scope) -> Stack:
    """Create a stack and return its record as stored."""
    record = Stack(
        project_id=scope.project_id,
        name=scope.stack,
        id=uuid.uuid4().hex,
        description="",
        created_at="",
        updated_at="",
        updated_by="alice",
        request_id=f"req-{next(_numbers)}",
    )
    revision = backend.commit(Transaction(record, 0, creates_stack=True), soon())
    assert revision is not None
    found = backend.stacks_at(scope.project_id, "", 1000, revision, soon())
    return next(stack for stack in found if stack.id == record.id)


def new_fact(path: str, text: str = "1", lease: int = 0, ttl: int | None = None) -> Fact:
    return Fact(
        path=path,
        text=text,
        kind="observed",
        created_at="",
        updated_at="",
        updated_by="alice",
        request_id=f"req-{next(_numbers)}",
        ttl=ttl,
        lease=lease,
    )


def steps(backend: Backend, after: int, upto: int) -> list[Step]:
    """Return all steps after one revision up to another one that is known to exist."""
    found = []
    following = backend.follow(after)
    for step in following:
        found.append(step)
        if step.revision >= upto:
            break
    following.close()  # type: ignore[attr-defined]
    return found


def put_all(backend: Backend, stack: Stack, *facts: Fact, **more: object) -> int:
    """Write facts unconditionally, as far as they are new."""
    commit = Transaction(stack, backend.head(soon()), puts=facts, **more)  # type: ignore[arg-type]
    revision = backend.commit(
        replace(commit, fact_revisions=commit.fact_revisions or {"none": 0}), soon()
    )
    assert revision is not None
    return revision


def current(backend: Backend, stack: Stack) -> dict[str, str]:
    facts = backend.facts_at(stack, "", "", 1000, backend.head(soon()), soon())
    return {fact.path: fact.text for fact in facts}


# Requests to a worker


def tagged(worker: Worker, scope: Scope, path: str) -> Precondition:
    return Precondition(tags=frozenset({worker.facts.get(scope, path).etag}))


def events_since(worker: Worker, scope: Scope, revision: int) -> list[tuple[int, list[str]]]:
    """Return the revisions of a stack's events after a revision, each with its changes."""
    since = worker.cursor(revision)
    found = worker.watch.poll(scope, since, 0, Filter())
    # The hub may not have received every event yet; wait until it has reached the head.
    while not found.next.revision >= worker.store.refresh(soon()).revision:
        found = worker.watch.poll(scope, since, 0, Filter())
    return [(e.revision, [f"{c.type} {c.path}" for c in e.changes]) for e in found.events]


def publish_all(worker: Worker) -> None:
    """Wait until a worker has published all that has happened so far, which its state shows earlier."""
    head = worker.store.refresh(soon()).revision
    eventually(lambda: worker.hub.cursor.revision >= head)


def note_followed(worker: Worker) -> None:
    """Store how far a worker has followed, as its maintenance does at the end."""
    store, backend, hub = worker.store, worker.backend, worker.hub
    maintenance = Maintenance(
        store,
        backend,  # type: ignore[arg-type]
        CLOCK,
        window=0,
        published=lambda: hub.cursor,
    )
    maintenance.stop()
