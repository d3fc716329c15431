"""Deliveries whose target, records, store or notifier fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import Notifier as NotifierRecord
from factstore.core.model.delivery import Owner
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.model.record import Record
from factstore.core.model.subscription_request import SubscriptionChanges
from factstore.core.model.target import Target
from factstore.core.model.unnamed import SERVICE
from factstore.core.operations.operation import Draft, Operation, View
from factstore.core.operations.subscription_changes import (
    ChangeSubscription,
)
from factstore.notify import delivery, messages, notifier_lease
from factstore.notify.notifier import Notifier
from factstore.notify.targets.base import TargetSender
from tests.contract.notifiers import (
    LONG,
    OK,
    SCOPE,
    Counts,
    Receiver,
    becomes,
    delete,
    last_error,
    progress,
    start_notifier,
    subscribe,
    subscription,
)
from tests.contract.world import EtcdWorld, MemoryWorld, Worker, World, author, new_scope, soon
from tests.eventually import eventually
from tests.sealing_keys import make_keys, sealing_with


@pytest.fixture
def world(etcd_world: EtcdWorld) -> World:
    """A database in etcd, because leases decide which notifier delivers."""
    return etcd_world


def test_a_target_that_is_gone_disables_its_subscription(
    worker: Worker, notifier: Notifier, receiver: Receiver, counts: Counts
) -> None:
    scope = new_scope()
    found = subscribe(worker, receiver.url, stacks=[scope.stack])
    becomes(worker, found.id, "active")
    receiver.status = 410
    worker.put(scope, "a", 1)
    becomes(worker, found.id, "disabled")
    assert counts.ends == ["disabled"]
    receiver.status = 200
    changes = SubscriptionChanges.of(paused=False)
    worker.transactor.run(ChangeSubscription(SCOPE, found.id, changes, author()))
    eventually(lambda: receiver.types().count("change") == 2, LONG)


def test_a_subscription_that_fails_for_long_is_suspended(
    worker: Worker, receiver: Receiver, counts: Counts
) -> None:
    notifier = start_notifier(worker, counts, suspend_after=0.5)
    try:
        scope = new_scope()
        found = subscribe(worker, receiver.url, stacks=[scope.stack])
        becomes(worker, found.id, "active")
        receiver.status = 302
        worker.put(scope, "a", 1)
        becomes(worker, found.id, "suspended")
        stored = subscription(worker, found.id)
        assert stored is not None
        assert "redirects" in (stored.reason or "")
        assert counts.ends == ["suspended"]
    finally:
        notifier.stop()


def test_a_fault_of_the_notifier_is_shown_and_concerns_one_subscription_only(
    worker: Worker,
    notifier: Notifier,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    make_keys(tmp_path / "lost")
    sealed = subscribe(worker, receiver.url, encryption=sealing_with(tmp_path / "lost"))
    bad, good = new_scope(), new_scope()
    of_bad = subscribe(worker, receiver.url, stacks=[bad.stack])
    of_good = subscribe(worker, receiver.url, stacks=[good.stack])
    becomes(worker, of_bad.id, "active")
    becomes(worker, of_good.id, "active")
    change = messages.change

    def failing(subscription: str, events: Sequence[Event], *more: Any) -> messages.CloudEvent:
        if events[0].scope == bad:
            raise RuntimeError("boom")
        return change(subscription, events, *more)

    with monkeypatch.context() as patched:
        patched.setattr(messages, "change", failing)
        worker.put(bad, "bad", 1)
        worker.put(good, "good", 1)
        eventually(lambda: receiver.paths() == ["good"], LONG)
        eventually(lambda: "RuntimeError" in last_error(worker, of_bad.id), LONG)
        eventually(lambda: "no keys to open" in last_error(worker, sealed.id), LONG)
    eventually(lambda: sorted(receiver.paths()) == ["bad", "good"], LONG)


def test_a_record_that_cannot_be_used_stops_no_other_and_can_be_deleted(
    worker: Worker, notifier: Notifier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, scope = delivery.sender, new_scope()

    def failing(target: Target, *more: Any) -> TargetSender:
        if target.text.endswith("/later"):
            raise KeyError("a kind of a later version")
        if target.text.endswith("/strict"):
            raise Invalid("the grammar has become stricter")
        return begin(target, *more)

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "sender", failing)
        later, mended, strict, good = (
            subscribe(worker, f"{receiver.url}{path}", stacks=[scope.stack]).id
            for path in ("/later", "/later", "/strict", "/good")
        )
        becomes(worker, good, "active")
        worker.put(scope, "a", 1)
        eventually(lambda: receiver.paths() == ["a"], LONG)
        eventually(lambda: "KeyError" in last_error(worker, mended), LONG)
        eventually(lambda: "Invalid" in last_error(worker, strict), LONG)
        for each in later, strict:
            delete(worker, each)
            assert subscription(worker, each) is None
    becomes(worker, mended, "active")
    eventually(lambda: receiver.types().count("change") == 2, LONG)


def test_nothing_is_sent_after_a_deletion_even_while_a_request_runs(
    worker: Worker, notifier: Notifier, receiver: Receiver
) -> None:
    scope = new_scope()
    found = subscribe(worker, receiver.url, stacks=[scope.stack])
    becomes(worker, found.id, "active")
    receiver.status = None
    worker.put(scope, "a", 1)
    eventually(lambda: "change" in receiver.types(), LONG)
    delete(worker, found.id)
    known = len(receiver.messages)
    assert subscription(worker, found.id) is None
    assert progress(worker, found.id) is None
    eventually(lambda: notifier.status().owned == 0)  # it follows the store
    worker.put(scope, "b", 1)
    fence = subscribe(worker, receiver.url, stacks=["none"])
    becomes(worker, fence.id, "active")
    assert [message_id for message_id, _ in receiver.messages[known:]] == [f"{fence.id}.challenge"]


@dataclass(slots=True)
class WriteRecords(Operation[None]):
    """Write records as they are."""

    counts_toward_quota: ClassVar[bool] = False

    records: tuple[Record, ...]
    scope: Scope = SCOPE
    author: None = None

    def plan(self, view: View) -> Draft[None]:
        return Draft(None, records=self.records)


def test_a_deletion_ends_although_the_response_to_a_claim_was_lost(
    worker: Worker, notifier: Notifier, receiver: Receiver
) -> None:
    template = subscribe(worker, receiver.url, stacks=["none"])
    becomes(worker, template.id, "active")
    lost = replace(template, id="0" * 32, state="deleting", revision=0)
    (running,) = worker.store.state().records(SERVICE, NotifierRecord)
    owner = Owner(lost.id, running.name, lease=running.lease)
    worker.transactor.run(WriteRecords((lost, owner)))
    eventually(lambda: subscription(worker, lost.id) is None)
    eventually(lambda: notifier.status().owned == 1)


def test_lost_events_are_reported_as_a_gap(world: World, receiver: Receiver) -> None:
    worker = world.worker(history=5)
    notifier = start_notifier(worker)
    try:
        scope = new_scope()
        found = subscribe(worker, receiver.url, stacks=[scope.stack])
        becomes(worker, found.id, "active")
        changes = SubscriptionChanges.of(paused=True)
        worker.transactor.run(ChangeSubscription(SCOPE, found.id, changes, author()))
        for at in range(50):
            worker.put(scope, f"f{at}", at)
        changes = SubscriptionChanges.of(paused=False)
        worker.transactor.run(ChangeSubscription(SCOPE, found.id, changes, author()))
        eventually(lambda: receiver.types()[-1:] == ["gap"], LONG)
        worker.put(scope, "after", 1)
        eventually(lambda: receiver.paths()[-1:] == ["after"], LONG)
        cursors = [Cursor.parse(event["data"]["cursor"]) for event in receiver.events()[1:]]
        assert cursors == sorted(cursors)
    finally:
        notifier.stop()


def test_a_notifier_delivers_as_a_restored_store_contains_it(receiver: Receiver) -> None:
    world, scope = MemoryWorld(), new_scope()
    worker = world.worker()
    notifier = start_notifier(worker)
    try:
        found = subscribe(worker, receiver.url, stacks=[scope.stack])
        becomes(worker, found.id, "active")
        worker.put(scope, "a", 1)
        eventually(lambda: receiver.paths() == ["a"], LONG)
        backup = worker.store.refresh(soon()).revision
        changes = SubscriptionChanges.of(paused=True)
        worker.transactor.run(ChangeSubscription(SCOPE, found.id, changes, author()))
        former = worker.put(new_scope(), "lost", 1)
        world.backend().restore(backup)
        eventually(lambda: worker.store.state().epoch != former.epoch)
        # The revision of the active subscription is lower than that of the paused one.
        eventually(lambda: "gap" in receiver.types(), LONG)
        numbers = count()  # the gap may be reported again when the subscription is owned again
        eventually(lambda: worker.put(scope, "b", next(numbers)) and "b" in receiver.paths(), LONG)
        assert receiver.paths() == ["a", "b"]
        cursors = {Cursor.parse(each["data"]["cursor"]) for each in receiver.events()[1:]}
        assert {cursor.epoch for cursor in cursors} == {former.epoch, worker.store.state().epoch}
    finally:
        notifier.stop()
        world.close()


def test_a_notifier_whose_lease_was_revoked_early_stops_and_owns_its_share_again(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a leader of etcd does that was paused and does not know of the renewals.
    monkeypatch.setattr(notifier_lease, "TTL", 600)
    monkeypatch.setattr(notifier_lease, "RENEW_SECONDS", 500.0)  # no renewal reveals it
    worker = world.worker()
    notifier, scope = start_notifier(worker), new_scope()
    try:
        found = subscribe(worker, receiver.url, stacks=[scope.stack])
        becomes(worker, found.id, "active")
        receiver.status = None  # a request runs that must end
        worker.put(scope, "f0", 0)
        eventually(lambda: receiver.paths() == ["f0"], LONG)
        receiver.status = OK
        (before,) = worker.store.state().records(SERVICE, NotifierRecord)
        worker.store.revoke_lease(before.lease, soon())
        for number in range(1, 4):
            worker.put(scope, f"f{number}", number)
        eventually(lambda: receiver.paths() == ["f0", "f1", "f2", "f3"], LONG)
        (after,) = worker.store.state().records(SERVICE, NotifierRecord)
        assert after.lease != before.lease
        assert notifier.status().owned == 1
        ids: dict[str, set[str]] = {}
        for event in receiver.events()[1:]:
            ids.setdefault(event["data"]["cursor"], set()).add(event["id"])
        assert [len(each) for each in ids.values()] == [1, 1, 1, 1]
    finally:
        notifier.stop()


def test_notifiers_share_subscriptions_and_take_over_without_a_gap(world: World) -> None:
    workers = [world.worker(), world.worker()]
    receivers = [Receiver() for _ in range(8)]
    scope = new_scope()
    notifiers = [start_notifier(workers[0])]
    try:
        found = [subscribe(workers[0], each.url, stacks=[scope.stack]) for each in receivers]
        for each in found:
            becomes(workers[0], each.id, "active")
        workers[0].put(scope, "f0", 0)
        notifiers.append(start_notifier(workers[1]))
        eventually(
            lambda: (
                [each.status().owned > 0 for each in notifiers] == [True, True]
                and sum(each.status().owned for each in notifiers) == 8
            ),
            LONG,
        )
        workers[0].put(scope, "f1", 1)
        notifiers[0].stop()
        workers[0].put(scope, "f2", 2)
        for receiver in receivers:
            eventually(lambda receiver=receiver: receiver.paths() == ["f0", "f1", "f2"], LONG)
            cursors = [
                Cursor.parse(event["data"]["cursor"]).revision for event in receiver.events()[1:]
            ]
            assert all(a <= b for a, b in pairwise(cursors))
        assert notifiers[1].status().owned == 8
    finally:
        for each in notifiers:
            each.stop()
        for receiver in receivers:
            receiver.close()
