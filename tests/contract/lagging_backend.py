"""Workers that lag on request, and databases without background work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.model.event import Step
from factstore.core.model.fact import Scope
from factstore.core.ports import Backend, Transaction
from factstore.core.state.state import State
from factstore.watch.hub import Hub
from tests.backends.memory import MemoryBackend
from tests.contract.world import EtcdWorld, Worker, soon, steps
from tests.unit.core.factories import ManualClock


class ManualWorker(Worker):
    """A worker that stores waiters' outcomes on request only, and leaves its backend open."""

    def start(self) -> Worker:
        self.store.start()
        self.pump.start()
        assert self.pump.wait_ready(60)
        self.pump.fill_history()
        self.hub.floor(Scope("", ""), self.store.state().epoch)  # the history has been read then
        return self

    def stop(self) -> None:
        self.hub.close()
        self.pump.stop()
        self.store.stop()

    def evaluate_waiters(self) -> None:
        self.store.refresh(soon())
        self.waiter_controller._marked_at = float("-inf")
        self.waiter_controller.run_once()


class LaggingBackend:
    """A backend that can withhold steps until its worker requests the head."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._go = threading.Event()
        self._go.set()

    def lag(self) -> None:
        self._go.clear()

    def follow(self, after: int) -> Iterator[Step]:
        for step in self._backend.follow(after):
            self._go.wait()
            yield step

    def head(self, deadline: float) -> int:
        self._go.set()
        return self._backend.head(deadline)

    def raise_fence(self, deadline: float) -> int:
        self._go.set()
        return self._backend.raise_fence(deadline)

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        revision = self._backend.commit(commit, deadline)
        if revision is not None:
            self._go.set()
        return revision

    def interrupt(self) -> None:
        self._go.set()
        self._backend.interrupt()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class Database:
    """The source of the workers' backends, and of the state that a new worker would load."""

    def backend(self) -> Backend:
        raise NotImplementedError

    def another(self, former: LaggingBackend) -> Backend:
        """Return the backend of a worker that replaces another one."""
        return self.backend()

    def fresh(self) -> State:
        raise NotImplementedError


class InMemory(Database):
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = MemoryBackend(self.clock)

    def backend(self) -> Backend:
        return self.memory

    def fresh(self) -> State:
        held = self.memory._state
        made = State(held.revision)
        made.load(held.mutations())
        return made

    def advance(self, seconds: float) -> list[int]:
        """Advance the clock; return the leases that expire, in order."""
        self.clock.advance(seconds)
        over = self.memory._leases.expired()
        self.memory.expire()
        return over


class InEtcd(Database):
    def __init__(self, server: EtcdServer) -> None:
        self.world = EtcdWorld(server.endpoint)

    def backend(self) -> Backend:
        return self.world.backend()

    def another(self, former: LaggingBackend) -> Backend:
        former.close()
        return self.backend()

    def fresh(self) -> State:
        backend = self.world.backend(window=1)
        opening = backend.open()
        made = State(opening.revision, opening.epoch)
        made.load(opening.mutations)
        opening.use()
        head = backend.head(soon())
        if head > opening.revision:
            backend.bump_revision(soon())  # the head may be a revision of a foreign key
            for step in steps(backend, opening.revision, head):
                made.apply(step)
        return made


def wait_for(hub: Hub, revision: int) -> None:
    pause = threading.Event()
    for _ in range(20_000):
        if hub.cursor.revision >= revision:
            return
        pause.wait(0.0005)
    raise AssertionError("the hub did not reach the revision")
