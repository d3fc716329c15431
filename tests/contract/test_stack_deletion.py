"""Members and waiters of a deleted stack."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Put, Scope
from factstore.core.model.member import JoinRequest, Member
from factstore.core.model.precondition import ANY
from factstore.core.operations.signals import SignalRequest
from factstore.store.fsck.reader import StoreReader
from factstore.store.fsck.report import StackUsage
from tests.contract.world import CLOCK, TIMEOUT, EtcdWorld, Worker, World, author, soon

SIGNALS = Definition.of({"success": {"signals": 5}})


def peopled(worker: Worker, scope: Scope) -> Member:
    """Create a stack with a record of every kind; return its member."""
    member = worker.members.join(scope, "c1", JoinRequest.of("compute"), author()).member
    bound = Put.of("nodes/c1/ip", 1, member="c1", generation=member.generation)
    worker.facts.put(scope, bound, author(), ANY)
    state = worker.store.refresh(soon())
    applied = Cursor(worker.store.state().epoch, state.revision)
    worker.members.heartbeat(scope, "c1", member.generation, applied)
    worker.waiters.put(scope, "w", SIGNALS, author(), create_only=False)
    worker.waiters.signal(scope, "w", SignalRequest.of({"id": "a"}), author())
    worker.put(scope, "gone")
    worker.delete(scope, "gone")  # leaves a mark
    worker.waiter_controller.run_once()
    return member


def test_a_member_of_a_deleted_stack_is_refused_and_restores_nothing(
    worker: Worker, world: World, scope: Scope
) -> None:
    member = peopled(worker, scope)
    other = world.worker()
    worker.stacks.delete(scope, author())
    other.store.refresh(soon())
    calls: list[Callable[[Worker, str | None], object]] = [
        lambda one, generation: one.members.heartbeat(scope, "c1", generation, None),
        lambda one, generation: one.members.set_state(
            scope, "c1", "draining", generation, author()
        ),
        lambda one, generation: one.members.depart(scope, "c1", "left", generation, author()),
    ]
    for call in calls:
        for one in (worker, other):
            for generation in (None, member.generation):
                with pytest.raises(NotFound):
                    call(one, generation)
    with pytest.raises(NotFound):
        other.waiters.signal(scope, "w", SignalRequest.of({}), author())
    assert worker.store.refresh(soon()).stack(scope) is None


def test_a_recreated_stack_has_no_former_members_or_waiters(
    worker: Worker, world: World, scope: Scope
) -> None:
    member = peopled(worker, scope)
    worker.stacks.delete(scope, author())
    worker.put(scope, "new")
    head = worker.backend.head(soon())
    worker.backend.revoke_lease(member.lease, soon())  # as it ends by itself, some time later
    worker.backend.purge_deleted(soon())
    for one in (worker, world.worker()):
        state = one.store.refresh(soon())
        usage = state.usage(scope)
        assert usage is not None
        assert (usage.facts, usage.bytes) == (1, len("new1"))
        assert one.members.list(scope, limit=10).items == ()
        assert one.waiters.list(scope, limit=10).items == ()
        assert one.hub.read(scope, one.cursor(head), events=10, size=10**6).events == ()
        with pytest.raises(NotFound):
            one.waiters.get(scope, "w")
        found = one.convergence.get(scope)
        assert (found.members, found.reached) == ((), False)
    assert (
        worker.members.join(scope, "c1", JoinRequest.of("compute"), author()).outcome == "created"
    )


def test_all_keys_and_leases_of_a_deleted_stack_are_purged(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    worker = etcd_world.worker()
    member = peopled(worker, scope)
    stack = worker.stacks.get(scope).stack
    below = etcd_world.keys.data(stack.project_id, stack.id)
    held = etcd_world.raw.get(below.start, below.end, deadline=soon()).items
    folders = {item.key[len(below.start) :].split(b"/")[0] for item in held}
    assert folders == {
        b"facts",
        b"members",
        b"applied",
        b"waiters",
        b"timers",
        b"signals",
        b"marks",
        b"pulses",
        b"conditions",
    }
    worker.stacks.delete(scope, author())
    worker.backend.purge_deleted(soon())
    assert etcd_world.leftovers(stack) == 0
    assert member.lease not in etcd_world.raw.leases(deadline=soon()), "it could expire later"
    reader = StoreReader(etcd_world.raw, etcd_world.keys, CLOCK, TIMEOUT)
    assert reader.check().findings == ()


def test_the_contents_of_a_project_include_members_waiters_signals_and_deleted_stacks(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    worker = etcd_world.worker()
    peopled(worker, scope)
    reader = StoreReader(etcd_world.raw, etcd_world.keys, CLOCK, TIMEOUT)
    found = reader.project(scope.project_id)
    stack, usage, _ = worker.stacks.get(scope)
    assert usage.facts == 4
    assert found.stacks == {stack.id: StackUsage(scope.stack, 4, usage.bytes)}
    assert (found.purges, found.orphans, found.undeletable) == (set(), set(), 0)
    record = etcd_world.keys.stack(*scope)
    worker.stacks.delete(scope, author())
    found = reader.project(scope.project_id)
    assert (found.stacks, found.purges, found.orphans) == ({}, {stack.id}, set())
    worker.backend.purge_deleted(soon())
    assert reader.project(scope.project_id).is_empty
    assert etcd_world.raw.get(record, deadline=soon()).items == []
