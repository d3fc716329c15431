"""A store that is restored from a backup: nothing that was found in the former one is written to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from factstore.core.errors import CursorExpired, NotFound, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Scope
from factstore.core.model.transaction import Transaction
from factstore.core.operations.waiters import EndWaiter
from factstore.store.types import PutKey, Txn
from tests.contract.membership import join
from tests.contract.world import (
    EtcdWorld,
    MemoryWorld,
    Worker,
    author,
    make_stack,
    new_fact,
    open_store,
    put_all,
    soon,
)
from tests.eventually import eventually


@pytest.fixture
def memory() -> Iterator[MemoryWorld]:
    world = MemoryWorld()
    yield world
    world.close()


@pytest.fixture
def scope() -> Scope:
    return Scope("p", "restored")


def restored(worker: Worker, revision: int) -> None:
    """Restore the contents of a revision, and return once the worker serves them."""
    former = worker.hub.cursor.epoch
    worker.backend.restore(revision)  # type: ignore[attr-defined]
    eventually(lambda: worker.hub.cursor.epoch != former)


def renew(world: EtcdWorld) -> None:
    """Write another epoch, as the command that operators run after they have restored etcd."""
    put = PutKey(world.keys.epoch, b"ab" * 16)
    world.raw.transact(Txn([], [put]), deadline=soon())


def applied(worker: Worker, scope: Scope) -> Cursor | None:
    return worker.convergence.get(scope).members[0].applied


# What members have applied


def test_a_report_about_the_former_store_is_not_recorded_in_the_restored_one(
    memory: MemoryWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = memory.worker()
    join(worker, scope)
    backup = worker.put(scope, "config", "A").revision
    reports = worker.services.applied_reports
    monkeypatch.setattr(reports, "_wanted", threading.Event())  # the thread does not run meanwhile
    for number in range(9):
        last = worker.put(scope, "config", number)
    late = worker.cursor(last.revision)
    worker.members.report(scope, "c1", None, late)
    restored(worker, backup)
    reports.run_once()
    assert applied(worker, scope) is None
    with pytest.raises(CursorExpired):
        worker.members.heartbeat(scope, "c1", None, late)
    # Nor if the restored store has reached the revision by then.
    for number in range(20):
        newest = worker.put(scope, "config", number).revision
    assert newest > late.revision
    worker.members.report(scope, "c1", None, late)
    reports.run_once()
    assert applied(worker, scope) is None


def test_a_report_that_is_being_recorded_while_a_backup_is_restored_is_left_out(
    memory: MemoryWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = memory.worker()
    join(worker, scope)
    backup = worker.put(scope, "config", "A").revision
    late = worker.cursor(worker.put(scope, "config", "B").revision)
    run = worker.transactor.run

    def restore_and_run(operation: Any, epoch: str = "") -> object:
        restored(worker, backup)
        return run(operation, epoch)

    monkeypatch.setattr(worker.services.applied_reports._transactor, "run", restore_and_run)
    worker.members.heartbeat(scope, "c1", None, late)
    assert applied(worker, scope) is None


def test_a_member_lags_in_a_restored_store_until_it_has_applied_that(
    memory: MemoryWorld, scope: Scope
) -> None:
    worker = memory.worker()
    first = join(worker, scope)
    kept = worker.put(scope, "config", "A")
    worker.members.heartbeat(scope, "c1", None, worker.cursor(kept.revision))
    assert worker.convergence.get(scope).reached
    backup = worker.store.refresh(soon()).revision
    lost = worker.put(scope, "config", "B")
    worker.members.heartbeat(scope, "c1", None, worker.cursor(lost.revision))
    restored(worker, backup)
    found = worker.convergence.get(scope)
    assert not found.reached, "the member has applied B, and the store contains A"
    assert found.members[0].applied is None
    assert worker.members.get(scope, "c1").generation == first.member.generation
    now = worker.context.get(scope).cursor
    worker.members.heartbeat(scope, "c1", None, now)
    assert worker.convergence.get(scope).reached
    # Another worker, and one that begins with a recent snapshot, agree.
    for late in (True, False):
        assert memory.worker(late=late).convergence.get(scope).reached


def test_a_renewed_epoch_makes_members_lag(etcd_world: EtcdWorld) -> None:
    worker, scope = etcd_world.worker(), Scope("p", "renewed")
    join(worker, scope)
    worker.members.heartbeat(scope, "c1", None, worker.context.get(scope).cursor)
    assert worker.convergence.get(scope).reached
    former = worker.store.state().epoch
    renew(etcd_world)
    with pytest.raises(Unavailable):
        worker.store.refresh(soon())
    eventually(lambda: worker.store.state().epoch != former)
    for each in (worker, etcd_world.worker()):
        assert applied(each, scope) is None
        assert not each.convergence.get(scope).reached
    worker.members.heartbeat(scope, "c1", None, worker.context.get(scope).cursor)
    assert worker.convergence.get(scope).reached


# Decisions


def test_a_waiter_does_not_end_because_of_facts_of_the_former_store(
    memory: MemoryWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = memory.worker()
    worker.put(scope, "a", 1)
    definition = Definition.of({"success": {"facts": "ready", "present": True}})
    worker.waiters.put(scope, "w", definition, author(), create_only=False)
    backup = worker.store.refresh(soon()).revision
    run, refused, ended = worker.transactor.run, list[object](), threading.Event()

    def restore_and_run(operation: Any, epoch: str = "") -> object:
        if isinstance(operation, EndWaiter) and not ended.is_set():
            restored(worker, backup)
            try:
                run(operation, epoch)
            except Unavailable:
                refused.append(operation)
            ended.set()
        return run(operation, epoch)

    monkeypatch.setattr(worker.waiter_controller._transactor, "run", restore_and_run)
    worker.put(scope, "ready", 1)
    assert ended.wait(60)
    assert refused
    with pytest.raises(NotFound):
        worker.facts.get(scope, "ready")
    assert worker.waiters.get(scope, "w").waiter.state == "pending"


def test_a_lease_that_a_write_left_is_not_revoked_in_a_restored_store(
    memory: MemoryWorld, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = memory.worker()
    backup = worker.put(scope, "mortal", 1, ttl=600).revision
    join(worker, scope)
    backup = worker.store.refresh(soon()).revision
    commit = worker.store.commit

    def commit_and_restore(transaction: Transaction, deadline: float) -> int | None:
        revision = commit(transaction, deadline)
        restored(worker, backup)
        return revision

    writes: list[Callable[[], object]] = [
        lambda: worker.put(scope, "mortal", 2),
        lambda: worker.members.depart(scope, "c1", "done", None, author()),
        lambda: join(worker, scope),
    ]
    for write in writes:
        with monkeypatch.context() as patch:
            patch.setattr(worker.store, "commit", commit_and_restore)
            write()
        assert worker.facts.get(scope, "mortal").fact.text == "1"
        assert worker.members.get(scope, "c1").state == "joining"


# The backend


def test_a_store_that_is_replaced_while_it_is_read_is_not_used(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    backend = etcd_world.opened_backend()
    put_all(backend, make_stack(backend, scope), new_fact("p"))
    opening = etcd_world.backend().open()
    renew(etcd_world)
    with pytest.raises(CursorExpired):
        list(opening.mutations)


def test_nothing_is_maintained_in_a_store_that_replaced_the_one_in_use(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    backend = etcd_world.backend()
    former = open_store(backend).epoch
    stack, lease = make_stack(backend, scope), backend.create_lease(600, soon())
    put = put_all(backend, stack, new_fact("p"), new_fact("mortal", lease=lease, ttl=600))
    backend.followed.note(Cursor(former, put - 1), soon(), at_once=True)
    mine, turn, _ = backend.try_compaction_turn(0, soon())
    assert mine
    backend.commit(Transaction(stack, put, drops_stack=True, only_deletes=True), soon())
    make_stack(backend, scope)
    renew(etcd_world)
    before = etcd_world.raw.get(*etcd_world.keys.everything, deadline=soon())
    with pytest.raises(CursorExpired):
        backend.bump_revision(soon())
    backend.followed.note(Cursor(former, put + 5), soon(), at_once=True)
    assert not backend.try_compaction_turn(turn, soon())[0]
    with pytest.raises(CursorExpired):
        backend.purge_deleted(soon())
    assert etcd_world.raw.get(*etcd_world.keys.everything, deadline=soon()).items == before.items
    open_store(backend)
    with pytest.raises(CursorExpired):
        backend.followed.note(Cursor(former, put + 5), soon(), at_once=True)
    backend.purge_deleted(soon())  # and what was to be deleted in the former store is forgotten
    assert etcd_world.raw.get(*etcd_world.keys.everything, deadline=soon()).items == before.items


def test_a_receipt_of_an_earlier_version_is_that_of_the_state_it_is_compared_with(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    put = PutKey(etcd_world.keys.receipt("p", "k"), b'{"fingerprint": "f", "results": []}')
    etcd_world.raw.transact(Txn([], [put]), deadline=soon())
    worker = etcd_world.worker()
    epoch = worker.store.state().epoch
    assert worker.store.earlier_receipt("p", "k", epoch, soon()) is not None
    with pytest.raises(Unavailable):
        worker.store.earlier_receipt("p", "k", "0" * 16, soon())
    renew(etcd_world)
    with pytest.raises(Unavailable):
        worker.store.earlier_receipt("p", "k", epoch, soon())
