"""A store that is full: etcd has raised its alarm, and only deletions are carried out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.errors import FactstoreError, NotFound, OutcomeUnknown, StorageFull
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.grant import GrantRequest
from factstore.core.model.member import JoinRequest
from factstore.core.model.read_set import ReadSet
from factstore.core.model.transaction import Transaction
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.signals import SignalRequest
from factstore.store.fsck.reader import StoreReader
from factstore.store.types import DeleteKeys, Fence, PutKey, Txn
from tests.cases import cases
from tests.contract import notifiers, test_actions, test_configurations
from tests.contract.membership import changes_by_event, declare, join
from tests.contract.test_turns import give_back, take
from tests.contract.world import (
    CLOCK,
    PROJECT,
    TIMEOUT,
    EtcdWorld,
    Worker,
    author,
    soon,
)

QUOTA = 2 * 1024 * 1024
KEY = Idempotency("k" * 64, "f" * 64)
SCOPE, LOST = Scope(PROJECT, "slurm"), Scope(PROJECT, "lost")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[EtcdWorld]:
    """A world over an etcd that has little room."""
    server = EtcdServer(tmp_path / "etcd", extra_args=["--quota-backend-bytes", str(QUOTA)])
    server.start()
    try:
        server.wait_ready()
        made = EtcdWorld(server.endpoint)
        yield made
        made.close()
    finally:
        server.stop()


def fill(world: EtcdWorld) -> None:
    """Write until etcd refuses to, beside the service's own keys."""
    try:
        while True:
            world.raw.transact(Txn([], [PutKey(b"/large", os.urandom(200_000))]), soon())
    except StorageFull:
        return


def depart(worker: Worker, name: str, *, keeps: bool = False) -> int:
    return worker.members.depart(SCOPE, name, "left", None, author(), keeps_declaration=keeps)


def prepared(worker: Worker) -> dict[str, str]:
    """Write one of everything, and return the ids of grants and generations."""
    for path in ("a", "b", "c", "d", "e"):
        worker.put(SCOPE, path, ttl=600 if path == "b" else None)
    worker.put(SCOPE, "folder/a")
    worker.put(LOST, "a")
    worker.put(SCOPE, "gone")
    worker.delete(SCOPE, "gone")
    for name in ("joined", "taken"):
        join(worker, SCOPE, name)
    for name in ("declared", "adopted", "awaited"):
        declare(worker, SCOPE, name)
    for name in ("adopted", "awaited"):
        join(worker, SCOPE, name)
        worker.put(SCOPE, f"nodes/{name}/ip", member=name)
    worker.read_sets.put(SCOPE, ReadSet.of("taken"), None, author())
    take(worker, SCOPE, "taken")
    definition = Definition.of({"success": {"signals": 1}})
    worker.waiters.put(SCOPE, "w", definition, author(), create_only=False)
    issued = worker.grants.issue(SCOPE, GrantRequest.of("agent", "joined", None, 600), author())
    return {"grant": issued.grant.id}


def test_a_full_store_carries_out_every_removal_and_nothing_else(world: EtcdWorld) -> None:
    worker, other = world.worker(), world.worker()
    ids = prepared(worker)
    fill(world)
    since = worker.store.refresh(soon()).revision
    cursor = worker.cursor(since)
    refused: dict[str, Callable[[], object]] = {
        "a put": lambda: worker.put(SCOPE, "a", 2),
        "a batch that also puts": lambda: worker.facts.batch(
            SCOPE, [Delete("a"), Put.of("new", 1)], [], author()
        ),
        "a fact with a ttl": lambda: worker.put(SCOPE, "new", ttl=60),
        "a join": lambda: worker.members.join(SCOPE, "new", JoinRequest.of("g"), author()),
        "a member's state": lambda: worker.members.set_state(
            SCOPE, "joined", "ready", None, author()
        ),
        "a signal": lambda: worker.waiters.signal(SCOPE, "w", SignalRequest.of({}), author()),
        "a new stack": lambda: worker.stacks.put(Scope(PROJECT, "new"), "", author()),
        "a renewed grant": lambda: worker.grants.renew(SCOPE, ids["grant"], None, author()),
    }
    carried_out: dict[str, Callable[[], object]] = {
        "an equal put": lambda: worker.put(SCOPE, "a"),
        "a heartbeat": lambda: worker.members.heartbeat(SCOPE, "joined", None, cursor),
        "DELETE of a fact": lambda: worker.delete(SCOPE, "a"),
        "DELETE of a fact with a ttl": lambda: worker.delete(SCOPE, "b"),
        "a batch of deletes": lambda: worker.facts.batch(
            SCOPE, [Delete("c"), Delete("missing")], [], author()
        ),
        "a batch of deletes with a key": lambda: worker.facts.batch(
            SCOPE, [Delete("d")], [], author(), KEY
        ),
        "DELETE of a folder": lambda: worker.services.folders.delete(SCOPE, "folder", author()),
        "DELETE of a read set": lambda: worker.read_sets.delete(SCOPE, "taken", None, author()),
        "DELETE of a turn": lambda: give_back(worker, SCOPE, "taken"),
        "a departure": lambda: depart(worker, "joined"),
        "the departure of a declared member": lambda: depart(worker, "declared"),
        "the departure of an adopted member": lambda: depart(worker, "adopted"),
        "the departure of a member that is awaited again": lambda: depart(
            worker, "awaited", keeps=True
        ),
        "DELETE of a waiter": lambda: worker.waiters.delete(SCOPE, "w", author()),
        "DELETE of a grant": lambda: worker.grants.revoke(SCOPE, ids["grant"], author()),
        "DELETE of a stack": lambda: worker.stacks.delete(LOST, author()),
    }
    with cases() as case:
        for name, call in refused.items():
            before = world.raw.get(world.keys.epoch, deadline=soon()).revision
            with case(name):
                with pytest.raises(StorageFull, match="compact and defragment"):
                    call()
                assert world.raw.get(world.keys.epoch, deadline=soon()).revision == before
        for name, call in carried_out.items():
            with case(name):
                try:
                    call()
                except StorageFull as error:
                    raise AssertionError(f"it was refused: {error.detail}") from error
    for one in (worker, other):
        assert one.paths(SCOPE) == ["e"]
        assert {m.name: m.declared_only for m in one.members.list(SCOPE, limit=9).items} == {
            "awaited": True,
            "taken": False,
        }
        assert one.grants.list(SCOPE, limit=9).items == ()
        with pytest.raises(NotFound):
            one.stacks.get(LOST)
    changes = {line for event in changes_by_event(other, SCOPE, since) for line in event}
    assert changes == {
        *(f"fact.expire {path}" for path in ("a", "b", "c", "d", "folder/a")),
        *(f"fact.expire nodes/{name}/ip" for name in ("adopted", "awaited")),
        *(f"member.expire {name}" for name in ("joined", "declared", "adopted")),
        "member.change awaited",
    }
    worker.backend.purge_deleted(soon())
    reader = StoreReader(world.raw, world.keys, CLOCK, TIMEOUT, lambda seconds: None)
    assert reader.check().findings == ()


@pytest.mark.parametrize("has_note", [True, False])
def test_a_full_store_is_read_although_others_have_written_last(
    world: EtcdWorld, has_note: bool
) -> None:
    worker = world.worker()
    worker.put(SCOPE, "a", 1)
    if has_note:
        worker.delete(SCOPE, "a")
    world.raw.transact(Txn([], [PutKey(b"/other", b"")]), soon())
    worker.store.refresh(soon())  # writes the sentinel
    fill(world)
    _, revision = world.raw.transact(Txn([], [DeleteKeys(b"/large")]), soon())
    assert worker.store.refresh(soon()).revision > revision


def test_writes_that_are_sent_together_do_not_exceed_the_quota_of_etcd(world: EtcdWorld) -> None:
    assert world.raw.alarms(deadline=soon()) == []
    fill(world)
    assert world.raw.alarms(deadline=soon()) == ["NOSPACE"]
    puts = [Txn([], [PutKey(key, b"1")]) for key in (b"/a", b"/b")]
    with pytest.raises(StorageFull):
        world.raw.transact_all(puts, soon(), Fence(b"/factstore/fences/000", 0))


def test_a_removal_is_found_that_was_made_although_the_store_is_full(
    world: EtcdWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etcd may carry out the write that fills it, and report that it is full."""
    worker = world.worker()
    worker.put(SCOPE, "a")
    commit = worker.backend.commit

    def fills(transaction: object, deadline: float) -> int | None:
        commit(transaction, deadline)  # type: ignore[arg-type]
        raise StorageFull("no room")

    monkeypatch.setattr(worker.backend, "commit", fills)
    assert worker.delete(SCOPE, "a").results[0].outcome == "deleted"


OF_FACTS = ("a fact", "a fact with a ttl", "a batch", "a folder", "a configuration")


@pytest.mark.parametrize("error", [StorageFull, OutcomeUnknown])
def test_of_two_removals_of_the_same_in_a_full_store_only_one_is_acknowledged(
    world: EtcdWorld, monkeypatch: pytest.MonkeyPatch, error: type[FactstoreError]
) -> None:
    """The absence of an object does not show who removed it."""
    worker, other = world.worker(), world.worker()
    grant = prepared(worker)["grant"]
    worker.services.alarms.put(
        SCOPE,
        "alarm",
        AlarmDefinition.of({"condition": {"facts": "never", "equals": 1}}),
        author(),
        create_only=False,
    )
    test_configurations.put(worker, SCOPE, "taken/app")
    action = test_actions.create(worker, SCOPE, group=None, member="taken")
    subscription = notifiers.subscribe(worker, "https://hooks.example.com/").id
    project = notifiers.SCOPE.project_id
    fill(world)
    removals: dict[str, Callable[[Worker], object]] = {
        "a fact": lambda by: by.delete(SCOPE, "a"),
        "a fact with a ttl": lambda by: by.delete(SCOPE, "b"),
        "a batch": lambda by: by.facts.batch(SCOPE, [Delete("c")], [], author()),
        "a folder": lambda by: by.services.folders.delete(SCOPE, "folder", author()),
        "a read set": lambda by: by.read_sets.delete(SCOPE, "taken", None, author()),
        "a turn": lambda by: give_back(by, SCOPE, "taken"),
        "an action": lambda by: by.services.actions.delete(SCOPE, action, author()),
        "a configuration": lambda by: by.services.configurations.delete(
            SCOPE, "taken/app", author()
        ),
        "a member": lambda by: depart(by, "joined"),
        "a declared member": lambda by: depart(by, "declared"),
        "an adopted member": lambda by: depart(by, "adopted"),
        "a waiter": lambda by: by.waiters.delete(SCOPE, "w", author()),
        "an alarm": lambda by: by.services.alarms.delete(SCOPE, "alarm", author()),
        "a grant": lambda by: by.grants.revoke(SCOPE, grant, author()),
        "a subscription": lambda by: by.services.subscriptions.delete(
            project, subscription, author()
        ),
        "a stack": lambda by: by.stacks.delete(LOST, author()),
    }
    commit = other.backend.commit
    left: list[Callable[[Worker], object]] = []

    def overtaken(transaction: Transaction, deadline: float) -> int | None:
        if transaction.writes and left:
            left.pop()(worker)
            raise error("no room")
        return commit(transaction, deadline)

    monkeypatch.setattr(other.backend, "commit", overtaken)
    with cases() as case:
        for name, remove in removals.items():
            other.store.refresh(soon())
            left.append(remove)
            # The store has answered, and the events of facts show that the other one removed them.
            known = error is StorageFull and name in OF_FACTS
            with case(name):
                if known and name == "a batch":
                    done = other.facts.batch(SCOPE, [Delete("c")], [], author())
                    assert [each.outcome for each in done.results] == ["absent"]
                    continue
                with pytest.raises(FactstoreError) as refused:
                    remove(other)
                assert left == []
                assert isinstance(refused.value, NotFound if known else OutcomeUnknown)
