"""Whatever removes the things on a lease ends the lease; the check finds leases that are left."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.errors import FactstoreError
from factstore.core.model.definition import Definition
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.grant import GrantRequest
from factstore.core.model.precondition import EXISTS
from factstore.core.model.pulse import monitored, pulse_lease
from factstore.core.model.read_set import ReadSet
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.signals import SignalRequest
from factstore.store.fsck.reader import StoreReader
from factstore.store.fsck.repair import StoreRepair
from factstore.store.types import DeleteKeys, Txn
from tests.cases import cases
from tests.contract.membership import declare, join
from tests.contract.test_actions import create, report
from tests.contract.test_member_grants import enrol, group
from tests.contract.test_turns import take
from tests.contract.world import CLOCK, PROJECT, TIMEOUT, EtcdWorld, Worker, author, soon
from tests.eventually import eventually

Step = Callable[[Worker, Scope], object]
KEY = Idempotency("k" * 64, "f" * 64)


def depart(worker: Worker, scope: Scope, *, keeps: bool = False) -> None:
    worker.members.depart(scope, "c1", "left", None, author(), keeps_declaration=keeps)


def arm(worker: Worker, scope: Scope, signals: int = 1) -> None:
    definition = Definition.of({"success": {"signals": signals}})
    worker.waiters.put(scope, "w", definition, author(), create_only=False)


def meet(worker: Worker, scope: Scope) -> None:
    timer = worker.waiters.get(scope, "w").waiter.timer
    worker.waiters.signal(scope, "w", SignalRequest.of({}), author())
    # The waiter controller revokes the lease after its write.
    eventually(lambda: not worker.store.renew_lease(timer, soon()))
    assert worker.waiters.get(scope, "w").waiter.state == "met"


def furnished_member(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    worker.put(scope, "nodes/c1/ip", member="c1")
    worker.read_sets.put(scope, ReadSet.of("c1", facts=["nodes/*/ip"]), None, author())
    take(worker, scope, "c1", rank=True)


def act(worker: Worker, scope: Scope) -> None:
    join(worker, scope)
    report(worker, scope, create(worker, scope), "c1")


def delete_actions(worker: Worker, scope: Scope) -> None:
    for each in worker.services.actions.list(scope, unless=lambda views: False):
        worker.services.actions.delete(scope, each.action.id, author())
    depart(worker, scope)


def everything(worker: Worker, scope: Scope) -> None:
    furnished_member(worker, scope)
    worker.put(scope, "a", ttl=600)
    worker.put(scope, "b", ttl=600, idempotency=KEY)
    arm(worker, scope)
    enrol(worker, scope, group(worker, scope), "c9")
    create(worker, scope)


def delete_stack(worker: Worker, scope: Scope) -> None:
    worker.stacks.delete(scope, author())
    worker.backend.purge_deleted(soon())


def revoke_all(worker: Worker, scope: Scope) -> None:
    for grant in worker.grants.list(scope, limit=9).items:
        if not grant.parent:
            worker.grants.revoke(scope, grant.id, author())


def issue(worker: Worker, scope: Scope) -> str:
    return worker.grants.issue(scope, GrantRequest.of("agent", "c1", None, 600), author()).grant.id


def renewed(worker: Worker, scope: Scope) -> None:
    grant = issue(worker, scope)
    worker.grants.renew(scope, grant, 900, author())
    worker.grants.revoke(scope, grant, author())


def reissued(worker: Worker, scope: Scope) -> None:
    parent = group(worker, scope)
    for _ in range(2):
        enrol(worker, scope, parent)
    worker.grants.revoke(scope, parent.grant.id, author())


def refused(worker: Worker, scope: Scope) -> None:
    try:
        worker.put(scope, "missing", 1, EXISTS, ttl=600)
    except FactstoreError:
        return
    raise AssertionError("it was not refused")


def leased(worker: Worker, scope: Scope) -> object:
    return worker.put(scope, "a", ttl=600)


def batch(*requests: Put | Delete) -> Step:
    return lambda worker, scope: worker.facts.batch(scope, requests, [], author())


def nothing(worker: Worker, scope: Scope) -> None: ...


WAYS: dict[str, tuple[Step, Step, int]] = {
    "DELETE of a fact": (leased, lambda w, s: w.delete(s, "a"), 0),
    "a batch that deletes": (leased, batch(Delete("a"), Put.of("b", 1)), 0),
    "DELETE of a folder": (
        lambda w, s: w.put(s, "f/a", ttl=600),
        lambda w, s: w.services.folders.delete(s, "f", author()),
        0,
    ),
    "a put without a ttl": (leased, lambda w, s: w.put(s, "a"), 0),
    "another value without a ttl, in a batch": (leased, batch(Put.of("a", 2)), 0),
    "a put with another ttl": (leased, lambda w, s: w.put(s, "a", ttl=900), 1),
    "another value with the same ttl": (leased, lambda w, s: w.put(s, "a", 2, ttl=600), 1),
    "a put that binds the fact to a member": (
        lambda w, s: (leased(w, s), join(w, s)),
        lambda w, s: w.put(s, "a", member="c1"),
        1,
    ),
    "a put that is refused": (nothing, refused, 0),
    "a member that departs": (furnished_member, depart, 0),
    "a member that joins again": (furnished_member, join, 1),
    "a declared member that departs": (declare, depart, 0),
    "a declared member that joined and departs": (
        lambda w, s: (declare(w, s), furnished_member(w, s)),
        depart,
        0,
    ),
    "a declared member that is awaited again": (
        lambda w, s: (declare(w, s), furnished_member(w, s)),
        lambda w, s: depart(w, s, keeps=True),
        0,
    ),
    "a waiter that is deleted": (arm, lambda w, s: w.waiters.delete(s, "w", author()), 0),
    "a waiter that is armed again": (arm, lambda w, s: arm(w, s, 2), 1),
    "a waiter that is met": (arm, meet, 0),
    "a grant that is revoked": (issue, revoke_all, 0),
    "a grant with another ttl": (nothing, renewed, 0),
    "a grant that is issued again": (nothing, reissued, 0),
    "a group's grant that is revoked": (
        lambda w, s: enrol(w, s, group(w, s)),
        revoke_all,
        0,
    ),
    "an action that is deleted": (act, delete_actions, 0),
    "DELETE of the stack": (everything, delete_stack, 0),
}
"""For each way: what is there before, the removal, and the number of leases that are left."""


def own_leases(world: EtcdWorld) -> set[int]:
    own = {each for each in world.raw.leases(deadline=soon()) if world.keys.is_own_lease(each)}
    # A monitored lease and that of its pulse count as one.
    return {monitored(each) if each == pulse_lease(each) else each for each in own}


def test_every_way_of_removal_ends_the_leases(etcd_world: EtcdWorld) -> None:
    worker = etcd_world.worker()

    with cases() as case:
        for number, (name, (prepare, remove, left)) in enumerate(WAYS.items()):
            scope = Scope(PROJECT, f"stack-{number}")
            worker.put(scope, "seed")
            before = own_leases(etcd_world)
            prepare(worker, scope)
            remove(worker, scope)
            with case(name):
                assert len(own_leases(etcd_world) - before) == left
    assert own_leases(etcd_world), "they are recognized"


def test_the_check_finds_idle_leases_and_the_repair_revokes_them(
    etcd_world: EtcdWorld, scope: Scope
) -> None:
    worker = etcd_world.worker()
    leased(worker, scope)
    idle, in_use = (
        worker.backend.create_lease(600, soon()),
        worker.backend.create_lease(600, soon()),
    )
    strange = etcd_world.keys.new_lease() ^ 1 << 50
    assert etcd_world.raw.grant(600, strange, deadline=soon())

    def used_meanwhile(seconds: float) -> None:
        assert seconds == TIMEOUT
        worker.put(scope, "b", ttl=600)
        worker.backend.revoke_lease(in_use, soon())

    reader = StoreReader(etcd_world.raw, etcd_world.keys, CLOCK, TIMEOUT, used_meanwhile)
    report = reader.check()
    assert [(found.kind, found.lease) for found in report.findings] == [("idle_lease", idle)]
    repair = StoreRepair(etcd_world.raw, etcd_world.keys, reader)
    assert repair.repair(report) == report.findings
    assert reader.check().findings == ()
    # A key that was deleted by hand leaves its lease, too.
    stack = worker.stacks.get(scope).stack
    key = etcd_world.keys.fact(stack.project_id, stack.id, "a")
    etcd_world.raw.transact(Txn([], [DeleteKeys(key)]), soon())
    quick = StoreReader(etcd_world.raw, etcd_world.keys, CLOCK, TIMEOUT, lambda seconds: None)
    assert [found.kind for found in quick.check().findings] == ["idle_lease"]
    etcd_world.raw.revoke(strange, deadline=soon())
