"""Records outside stacks: subscriptions, and who owns and may delete them, on etcd and in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factstore.core.errors import (
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
)
from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import DeliveryState, Notifier, Owner
from factstore.core.model.fact import Scope
from factstore.core.model.precondition import Precondition
from factstore.core.model.quota import Quota
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import RecordKey
from factstore.core.model.subscription import Subscription
from factstore.core.model.subscription_request import SubscriptionChanges
from factstore.core.model.unnamed import SERVICE
from factstore.core.operations.deliveries import (
    FinishDeletion,
    RecordDelivery,
    RegisterNotifier,
    ReleaseSubscription,
)
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.subscription_changes import (
    ChangeSubscription,
    ReplaySubscription,
    RequestTest,
    StartDeletion,
)
from factstore.core.operations.subscription_secrets import signing_secrets
from tests.contract.subscribing import (
    PLAIN,
    SCOPE,
    SECRET,
    change,
    claim,
    confirm,
    create,
    rotation,
    stored,
)
from tests.contract.world import PROJECT, Worker, World, author, soon


def test_a_subscription_belongs_to_no_stack_and_survives_a_restart(world: World) -> None:
    worker = world.worker()
    made = create(worker).subscription
    again = world.worker()
    found = stored(again, made.id)
    assert (found.state, found.stacks, found.target) == ("pending", ("*",), made.target)
    state = again.store.state()
    assert (PROJECT, found) in state.unnamed_records(Subscription)
    assert [stack for stack in state.stacks(PROJECT) if not stack.name] == []
    assert state.project_usage(PROJECT).stacks == len(state.stacks(PROJECT))


def test_notifiers_are_woken_by_changes_that_concern_them(worker: Worker) -> None:
    made = create(worker).subscription
    seen = worker.store.refresh(soon()).cursor
    assert not worker.hub.wait_change(SERVICE, seen, 0)
    worker.put(Scope(PROJECT, "other"), "a")
    assert not worker.hub.wait_change(SERVICE, worker.store.refresh(soon()).cursor, 0)
    change(worker, made.id, name="other")
    assert worker.hub.wait_change(SERVICE, seen, 60)


def test_a_subscription_has_one_owner_which_ends_with_its_lease(world: World) -> None:
    worker, other = world.worker(), world.worker()
    made = create(worker).subscription
    lease = worker.backend.create_lease(60, soon())
    worker.transactor.run(RegisterNotifier(Notifier("n1", "host", "t"), lease))
    owner = claim(worker, made.id, "n1", lease)
    assert owner is not None
    assert claim(other, made.id, "n2", other.backend.create_lease(60, soon())) is None
    progress = replace(DeliveryState.first(made), delivered=1)
    assert worker.transactor.run(RecordDelivery(SCOPE, owner, progress)).outcome

    worker.backend.revoke_lease(lease, soon())
    assert worker.store.refresh(soon()).records(SERVICE, Notifier) == []
    successor = claim(other, made.id, "n2", other.backend.create_lease(60, soon()))
    assert successor is not None
    assert claim(worker, made.id, "n1", lease) is None  # whatever the state of this worker is
    late = replace(progress, delivered=9)
    assert not worker.transactor.run(RecordDelivery(SCOPE, owner, late)).outcome
    key = RecordKey(DeliveryState, made.id)
    kept = worker.store.refresh(soon()).record(SCOPE, key)
    assert isinstance(kept, DeliveryState)
    assert kept.delivered == 1
    assert not worker.transactor.run(ReleaseSubscription(SCOPE, owner)).outcome
    assert other.transactor.run(ReleaseSubscription(SCOPE, successor)).outcome


def test_the_owner_changes_the_state_that_it_knows(worker: Worker) -> None:
    made = stored(worker, create(worker).subscription.id)
    owner = claim(worker, made.id, "n1", worker.backend.create_lease(60, soon()))
    assert owner is not None

    def record(state: str, was: int) -> str:
        operation = RecordDelivery(
            SCOPE, owner, DeliveryState.first(made), state, "because", was  # type: ignore[arg-type]
        )  # fmt: skip
        assert worker.transactor.run(operation).outcome
        return stored(worker, made.id).state

    assert record("active", made.revision) == "active"
    assert record("suspended", made.revision) == "active"
    assert record("suspended", stored(worker, made.id).revision) == "suspended"
    assert stored(worker, made.id).reason == "because"
    assert change(worker, made.id, paused=False).state == "active"
    assert stored(worker, made.id).reason is None


def test_a_subscription_is_deleted_only_without_an_owner(worker: Worker) -> None:
    made = create(worker).subscription
    lease = worker.backend.create_lease(60, soon())
    owner = claim(worker, made.id, "n1", lease)
    assert owner is not None
    worker.transactor.run(RecordDelivery(SCOPE, owner, DeliveryState.first(made)))
    finish = FinishDeletion(SCOPE, made.id)
    assert worker.transactor.run(finish).outcome
    assert stored(worker, made.id).state == "pending"  # its deletion has not started
    worker.transactor.run(StartDeletion(SCOPE, made.id, author()))
    assert not worker.transactor.run(finish).outcome
    assert worker.transactor.run(ReleaseSubscription(SCOPE, owner)).outcome
    state = worker.store.refresh(soon())
    for kind in (Subscription, DeliveryState, Owner):
        assert state.record(SCOPE, RecordKey(kind, made.id)) is None
    assert claim(worker, made.id, "n1", lease) is None

    second = create(worker).subscription
    worker.transactor.run(StartDeletion(SCOPE, second.id, author()))
    assert claim(worker, second.id, "n1", lease) is None
    with pytest.raises(NotFound):
        change(worker, second.id, name="a")
    assert worker.transactor.run(FinishDeletion(SCOPE, second.id)).outcome
    assert worker.store.refresh(soon()).record(SCOPE, RecordKey(Subscription, second.id)) is None


def test_states_follow_what_owners_request(worker: Worker) -> None:
    made = create(worker).subscription
    assert change(worker, made.id, paused=False).state == "pending"
    with pytest.raises(Conflict) as caught:
        change(worker, made.id, paused=True)
    assert caught.value.code == "subscription_pending"
    with pytest.raises(Conflict):
        worker.transactor.run(RequestTest(SCOPE, made.id, author()))
    for wrong in ("challenge-y", "", "\ud800"):
        with pytest.raises(Forbidden):
            confirm(worker, made.id, wrong)
    assert confirm(worker, made.id).state == "active"
    revision = stored(worker, made.id).revision
    assert confirm(worker, made.id).state == "active"
    assert stored(worker, made.id).revision == revision
    assert change(worker, made.id, paused=True).state == "paused"
    assert worker.transactor.run(RequestTest(SCOPE, made.id, author())).outcome.tests == 1
    since = Cursor(worker.store.state().epoch, 1)
    replayed = worker.transactor.run(ReplaySubscription(SCOPE, made.id, since, author())).outcome
    assert (replayed.start, replayed.replays, replayed.state) == (str(since), 1, "paused")


def test_an_equal_change_writes_nothing_and_preconditions_are_heeded(worker: Worker) -> None:
    made = stored(worker, create(worker).subscription.id)
    assert change(worker, made.id, stacks=["*"], max_events=1) == made
    tag = made.etag(worker.store.state().epoch)
    changes = SubscriptionChanges.of(name="new")
    operation = ChangeSubscription(
        SCOPE, made.id, changes, author(), Precondition(tags=frozenset([tag]))
    )
    assert worker.transactor.run(operation).outcome.name == "new"
    with pytest.raises(PreconditionFailed):
        worker.transactor.run(operation)
    with pytest.raises(PreconditionFailed):
        worker.transactor.run(
            StartDeletion(SCOPE, made.id, author(), Precondition(tags=frozenset([tag])))
        )


def test_a_retry_returns_the_first_subscription_with_its_secret(worker: Worker) -> None:
    promise = Idempotency("k" * 64, "f" * 64)
    made, again = (create(worker, idempotency=promise) for _ in range(2))
    assert SECRET not in repr(made) + repr(worker.store.state().records(SCOPE, Receipt))
    assert again.subscription.id == made.subscription.id
    assert again.secret == made.secret == SECRET
    with pytest.raises(Conflict):
        create(worker, idempotency=Idempotency("k" * 64, "g" * 64))
    rotate = rotation(made.subscription.id, "whsec_bmV3")
    worker.transactor.run(rotate)
    assert create(worker, idempotency=promise).secret is None


def test_a_rotation_keeps_the_former_secret_for_a_while(worker: Worker) -> None:
    made = create(worker).subscription
    promise = Idempotency("r" * 64, "f" * 64)
    operation = rotation(made.id, "whsec_bmV3", idempotency=promise)
    worker.transactor.run(operation)
    operation = rotation(made.id, "whsec_bGF0ZXI=", idempotency=promise)
    assert worker.transactor.run(operation).outcome.secret == "whsec_bmV3"
    project = worker.store.refresh(soon()).stack_state(SCOPE)
    assert project is not None
    found = stored(worker, made.id)
    assert signing_secrets(PLAIN, project, found, "2000") == ("whsec_bmV3", SECRET)
    assert signing_secrets(PLAIN, project, found, "9999") == ("whsec_bmV3",)
    worker.transactor.run(rotation(made.id, "whsec_b25l", overlap=0))
    assert stored(worker, made.id).secrets == ("whsec_b25l",)


def test_a_project_has_a_quota_of_subscriptions(world: World) -> None:
    worker = world.worker(quota=Quota(subscriptions=2))
    first = create(worker).subscription
    create(worker)
    with pytest.raises(Forbidden) as caught:
        create(worker)
    assert caught.value.extra["quota"] == "subscriptions"
    assert change(worker, first.id, name="still").name == "still"
