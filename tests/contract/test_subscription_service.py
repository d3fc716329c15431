"""The service for subscriptions: deletions that wait, positions that are gone, pages, and projects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import CursorExpired, NotFound, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.record import RecordKey
from factstore.core.model.subscription import Subscription
from factstore.core.model.subscription_request import SubscriptionRequest
from factstore.core.model.target_rules import TargetRules
from factstore.core.model.transaction import Transaction
from factstore.core.model.unnamed import unnamed_stack
from factstore.core.operations.deliveries import FinishDeletion, ReleaseSubscription
from factstore.core.operations.operation import View
from factstore.core.operations.subscription_changes import StartDeletion
from factstore.core.services import subscriptions
from tests.contract.subscribing import SCOPE, claim, create
from tests.contract.world import PROJECT, TIMEOUT, Worker, World, author, soon


def test_a_deletion_waits_for_the_notifier(
    world: World, worker: Worker, threads: ThreadPoolExecutor
) -> None:
    service, notifier = worker.services.subscriptions, world.worker()
    made = create(notifier).subscription
    owner = claim(notifier, made.id, "n1", notifier.backend.create_lease(60, soon()))
    assert owner is not None
    deletion = worker.waiting(threads, service.delete, PROJECT, made.id, author())
    assert not deletion.done()
    assert notifier.transactor.run(ReleaseSubscription(SCOPE, owner)).outcome
    deletion.result(TIMEOUT)
    with pytest.raises(NotFound):
        service.get(PROJECT, made.id)


def test_a_deletion_continues_after_the_notifier_was_killed(
    worker: Worker, threads: ThreadPoolExecutor
) -> None:
    made = create(worker).subscription
    lease = worker.backend.create_lease(60, soon())
    assert claim(worker, made.id, "n1", lease) is not None
    service = worker.services.subscriptions
    deletion = worker.waiting(threads, service.delete, PROJECT, made.id, author())
    worker.backend.revoke_lease(lease, soon())
    deletion.result(TIMEOUT)
    with pytest.raises(NotFound):
        service.delete(PROJECT, made.id, author())


def test_a_deletion_that_takes_too_long_can_be_repeated(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "DELETION_SECONDS", 0.0)
    made = create(worker).subscription
    owner = claim(worker, made.id, "n1", worker.backend.create_lease(60, soon()))
    assert owner is not None
    service = worker.services.subscriptions
    with pytest.raises(Unavailable) as caught:
        service.delete(PROJECT, made.id, author())
    assert caught.value.code == "deletion_unfinished"
    assert service.get(PROJECT, made.id).subscription.state == "deleting"
    worker.transactor.run(ReleaseSubscription(SCOPE, owner))
    with pytest.raises(NotFound):  # the notifier has deleted it
        service.delete(PROJECT, made.id, author())


def test_a_full_store_accepts_a_deletion_which_waits_for_the_notifier(worker: Worker) -> None:
    made = create(worker).subscription
    owner = claim(worker, made.id, "n1", worker.backend.create_lease(60, soon()))
    assert owner is not None
    state, start = worker.store.refresh(soon()), StartDeletion(SCOPE, made.id, author())
    draft = start.plan(View(state, SCOPE, "", full=True))
    assert (draft.records, len(draft.removes)) == ((), 2)
    key, finish = RecordKey(Subscription, made.id), FinishDeletion(SCOPE, made.id)
    gone = Transaction(
        unnamed_stack(PROJECT),
        state.revision,
        record_revisions=draft.record_revisions,
        removes=draft.removes,
    )
    assert worker.store.commit(gone, soon())
    assert worker.store.refresh(soon()).record(SCOPE, key) is None
    assert not worker.transactor.run(finish).outcome
    assert worker.transactor.run(ReleaseSubscription(SCOPE, owner)).outcome
    assert worker.transactor.run(finish).outcome


def test_a_position_that_is_not_kept_is_refused(world: World, scope: Scope) -> None:
    worker = world.worker(history=4)
    made, service = create(worker).subscription, worker.services.subscriptions
    revisions = []
    for n in range(8):
        worker.put(scope, "a", n)
        revisions.append(worker.store.refresh(soon()).revision)
    epoch, last = worker.store.state().epoch, revisions[-1]
    for since in (Cursor(epoch, revisions[0]), Cursor("0" * 16, 1), Cursor(epoch, last + 100)):
        with pytest.raises(CursorExpired):
            service.replay(PROJECT, made.id, since, author())
    since = Cursor(epoch, last)
    assert service.replay(PROJECT, made.id, since, author()).cursor == str(since)
    # This worker still has the event, but a notifier that starts now reads what is in the store.
    worker.put(scope, "a", "new")
    worker.put(scope, "a", "newer")
    worker.backend.compact(worker.store.refresh(soon()).revision, soon())
    with pytest.raises(CursorExpired, match="The events after this cursor"):
        service.replay(PROJECT, made.id, since, author())


def test_pages_of_a_list_show_one_revision_of_one_project(worker: Worker) -> None:
    service, other = worker.services.subscriptions, "0ther" * 4
    request = SubscriptionRequest.of("zaqar:?queue_name=q", TargetRules())
    made = sorted(service.create(other, request, author())[0].subscription.id for _ in range(3))
    first = service.list(other, limit=2)
    service.delete(other, made[2], author())
    rest = service.list(other, limit=2, marker=first.marker or "", at=first.cursor)
    found = [view.subscription.id for view in (*first.items, *rest.items)]
    assert (found, rest.marker) == (made, None)
    assert [view.subscription.id for view in service.list(other, limit=9).items] == made[:2]
    with pytest.raises(NotFound):
        service.get(PROJECT, made[0])
    assert service.count(other) == 2
