"""The delivery of events by notifiers, to receivers that verify messages."""

from __future__ import annotations

import pytest

from factstore.core.model.cursor import Cursor
from factstore.core.model.subscription_request import SubscriptionChanges
from factstore.core.model.wait import Party
from factstore.core.operations.subscription_changes import (
    ChangeSubscription,
    ReplaySubscription,
    RequestTest,
)
from factstore.core.operations.subscription_secrets import new_secret
from factstore.notify.notifier import Notifier
from tests.contract.membership import join
from tests.contract.notifiers import (
    LONG,
    SCOPE,
    Counts,
    Receiver,
    becomes,
    progress,
    start_notifier,
    subscribe,
)
from tests.contract.test_waits import look
from tests.contract.world import EtcdWorld, Worker, World, author, new_scope
from tests.eventually import eventually


@pytest.fixture
def world(etcd_world: EtcdWorld) -> World:
    """A database in etcd, because leases decide which notifier delivers."""
    return etcd_world


def test_a_target_that_confirms_receives_all_later_events_in_order(
    worker: Worker, notifier: Notifier, receiver: Receiver
) -> None:
    scope, other = new_scope(), new_scope()
    receiver.secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = subscribe(worker, receiver.url, stacks=[scope.stack], secret=receiver.secret)
    becomes(worker, found.id, "active")
    for at in range(20):
        worker.put(scope, f"nodes/{at}", at)
        worker.put(other, f"other/{at}", at)
    eventually(lambda: len(receiver.paths()) == 20, LONG)
    assert receiver.paths() == [f"nodes/{at}" for at in range(20)]
    events = receiver.events()
    assert events[0]["type"] == "org.openstack.factstore.challenge"
    assert events[1]["source"] == f"/v1/stacks/{scope.stack}"
    change = events[1]["data"]["changes"][0]
    assert (change["stack"], change["fact"]["value"]) == (scope.stack, 0)
    ids = [message_id for message_id, _ in receiver.messages[1:]]
    assert ids == [f"{found.id}.{event['data']['cursor']}" for event in events[1:]]
    stored = eventually(lambda: (p := progress(worker, found.id)) and p.delivered == 21 and p, LONG)
    assert Cursor.parse(stored.cursor) >= Cursor.parse(events[-1]["data"]["cursor"])
    assert (len(stored.log), stored.deliveries[0].id, stored.deliveries[0].status) == (
        20,
        ids[-1],
        200,
    )


def test_a_target_learns_that_a_stack_is_stuck_and_that_it_is_not_any_more(
    world: World, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    worker, scope = world.worker(stuck_seconds=0.0), new_scope()
    receiver.secret = new_secret()
    wanted = ["stack.stuck", "stack.unstuck"]
    options = {"stacks": [scope.stack], "types": wanted, "secret": receiver.secret}
    running = start_notifier(worker)
    request.addfinalizer(running.stop)
    becomes(worker, subscribe(worker, receiver.url, **options).id, "active")
    for name, other in (("a", "b"), ("b", "a")):
        join(worker, scope, name)
        blocked = Party("member", name)
        worker.services.blocked_reads.begin(scope, f"nodes/{other}/key", blocked)

    def arrived() -> list[tuple[str, str | None]]:
        changes = [each["data"].get("changes", []) for each in receiver.events()]
        return [(each["type"], each["reason"]) for found in changes for each in found]

    look(worker)
    ((kind, reason),) = eventually(arrived, LONG)
    assert (kind, "a waits for nodes/b/key, which b writes" in str(reason)) == (wanted[0], True)
    worker.put(scope, "nodes/a/key")
    look(worker)
    eventually(lambda: len(arrived()) == 2, LONG)
    assert [kind for kind, _ in arrived()] == wanted


def test_a_target_that_does_not_confirm_gets_the_challenge_alone(
    worker: Worker, notifier: Notifier, receiver: Receiver
) -> None:
    receiver.confirms = False
    scope = new_scope()
    found = subscribe(worker, receiver.url, stacks=[scope.stack])
    worker.put(scope, "a", 1)
    stored = eventually(lambda: progress(worker, found.id), LONG)
    assert stored.last_error == "the target did not return the challenge"
    eventually(lambda: len(receiver.messages) > 1, LONG)  # it is repeated
    assert set(receiver.types()) == {"challenge"}
    receiver.confirms = True
    becomes(worker, found.id, "active")
    eventually(lambda: receiver.paths() == ["a"], LONG)


def test_a_message_is_sent_with_the_same_id_until_it_is_accepted(
    worker: Worker, notifier: Notifier, receiver: Receiver, counts: Counts
) -> None:
    scope = new_scope()
    found = subscribe(worker, receiver.url, stacks=[scope.stack])
    becomes(worker, found.id, "active")
    receiver.status = 503
    for at in range(3):
        worker.put(scope, f"f{at}", at)
    eventually(lambda: receiver.types().count("change") >= 2, LONG)
    stored = eventually(lambda: (p := progress(worker, found.id)) and p.next_attempt_at and p, LONG)
    assert stored.failing_since is not None
    assert (stored.deliveries[0].status, stored.deliveries[0].delivered) == (503, False)
    receiver.status = 200
    eventually(lambda: receiver.paths() == ["f0", "f1", "f2"], LONG)
    ids = [message_id for message_id, _ in receiver.messages[1:]]
    first = ids.count(ids[0])
    assert first >= 2
    assert len(set(ids[first - 1 :])) == 3
    assert ("events", "failed") in counts.outcomes


def test_events_are_gathered_in_one_message(
    worker: Worker, notifier: Notifier, receiver: Receiver
) -> None:
    scope = new_scope()
    found = subscribe(worker, receiver.url, stacks=[scope.stack], max_events=5, max_delay=60)
    becomes(worker, found.id, "active")
    for at in range(10):
        worker.put(scope, f"f{at}", at)
    eventually(lambda: len(receiver.paths()) == 10, LONG)
    batches = [message for _, message in receiver.messages[1:]]
    assert [len(batch) for batch in batches] == [5, 5]
    assert [batch[-1]["id"] for batch in batches] == [each for each, _ in receiver.messages[1:]]


def test_a_paused_subscription_continues_where_it_was_and_can_be_replayed(
    worker: Worker, notifier: Notifier, receiver: Receiver
) -> None:
    scope = new_scope()
    found = subscribe(worker, receiver.url, stacks=[scope.stack])
    becomes(worker, found.id, "active")
    worker.put(scope, "a", 1)
    eventually(lambda: receiver.paths() == ["a"], LONG)
    for paused, path in ((True, "b"), (False, "c")):
        changes = SubscriptionChanges.of(paused=paused)
        worker.transactor.run(ChangeSubscription(SCOPE, found.id, changes, author()))
        worker.put(scope, path, 1)
    eventually(lambda: receiver.paths() == ["a", "b", "c"], LONG)
    known = len(receiver.messages)
    replay = ReplaySubscription(SCOPE, found.id, Cursor.parse(found.start), author())
    worker.transactor.run(replay)
    eventually(lambda: len(receiver.messages) == known + 3, LONG)
    again, before = receiver.messages[known:], receiver.messages[1:known]
    assert [each for each, _ in again] == [each for each, _ in before]


def test_a_test_message_is_sent_once_even_while_a_subscription_is_paused(
    worker: Worker, notifier: Notifier, receiver: Receiver
) -> None:
    found = subscribe(worker, receiver.url, stacks=["none"])
    becomes(worker, found.id, "active")
    changes = SubscriptionChanges.of(paused=True)
    worker.transactor.run(ChangeSubscription(SCOPE, found.id, changes, author()))
    worker.transactor.run(RequestTest(SCOPE, found.id, author()))
    stored = eventually(lambda: (p := progress(worker, found.id)) and p.tests == 1 and p, LONG)
    assert (stored.deliveries[0].kind, stored.deliveries[0].delivered) == ("test", True)
    assert receiver.types() == ["challenge", "test"]


def test_a_message_is_sent_again_at_once_if_its_subscription_is_resumed_while_it_fails(
    worker: Worker, notifier: Notifier, receiver: Receiver
) -> None:
    scope = new_scope()
    found = subscribe(worker, receiver.url, stacks=[scope.stack])
    becomes(worker, found.id, "active")

    def resume() -> None:
        receiver.before_answer = lambda: None
        for paused in True, False:
            changes = SubscriptionChanges.of(paused=paused)
            worker.transactor.run(ChangeSubscription(SCOPE, found.id, changes, author()))
        fence = subscribe(worker, receiver.url, stacks=["none"])
        becomes(worker, fence.id, "active")  # so the notifier has read both changes

    receiver.before_answer, receiver.status = resume, 503
    receiver.headers = b"Retry-After: 3600\r\n"
    worker.put(scope, "a", 1)
    eventually(lambda: receiver.types().count("change") == 2, LONG)
