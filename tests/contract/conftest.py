"""The databases that the contract tests run on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.model.fact import Scope, Stack
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection, Watched
from factstore.core.ports import Backend
from factstore.core.services import lease_monitor
from factstore.notify.notifier import Notifier
from tests.conftest import serving_etcd
from tests.contract.membership import join
from tests.contract.notifiers import Counts, Receiver, start_notifier
from tests.contract.world import (
    EtcdWorld,
    MemoryWorld,
    Worker,
    World,
    make_stack,
    new_scope,
    open_store,
)


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    """An etcd without services, whose revision only changes if a test writes."""
    yield from serving_etcd(tmp_path_factory.mktemp("etcd") / "data")


@pytest.fixture(params=["memory", "etcd"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A database for this test alone."""
    made: World
    if request.param == "memory":
        made = MemoryWorld()
    else:
        made = EtcdWorld(request.getfixturevalue("etcd").endpoint, is_shared=True)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def etcd_world(request: pytest.FixtureRequest) -> Iterator[EtcdWorld]:
    """A database for this test alone, in a real etcd."""
    made = EtcdWorld(request.getfixturevalue("etcd").endpoint, is_shared=True)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def worker(world: World) -> Worker:
    return world.worker()


@pytest.fixture
def scope() -> Scope:
    return new_scope()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


@pytest.fixture
def backend(world: World) -> Backend:
    made = world.backend()
    open_store(made)
    return made


@pytest.fixture
def stack(backend: Backend, scope: Scope) -> Stack:
    return make_stack(backend, scope)


@pytest.fixture
def members(worker: Worker, scope: Scope) -> None:
    """Two members, a and b."""
    for name in ("a", "b"):
        join(worker, scope, name)


@pytest.fixture(params=["one stack", "many stacks"])
def watched(request: pytest.FixtureRequest, scope: Scope) -> Watched:
    """The stack *scope* alone, or all stacks of its project whose names begin like it."""
    if request.param == "one stack":
        return scope
    return StackSelection(scope.project_id, StackPatterns.of(["none", f"{scope.stack}*"]))


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def notifier(worker: Worker, counts: Counts) -> Iterator[Notifier]:
    running = start_notifier(worker, counts)
    yield running
    running.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def elected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all leases be older than the last election, and others have no time to restore pulses."""
    monkeypatch.setattr(lease_monitor, "PERIOD", 0.02)
    monkeypatch.setattr(lease_monitor, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(lease_monitor, "NEW_WORKER_SECONDS", 0)
