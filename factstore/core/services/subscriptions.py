"""Subscriptions: creating, reading, changing and deleting them."""

from __future__ import annotations

import secrets

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import DeliveryState
from factstore.core.model.fact import Author
from factstore.core.model.path import check_name
from factstore.core.model.precondition import ANY, Precondition
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection
from factstore.core.model.subscription import Subscription
from factstore.core.model.subscription_request import (
    SubscriptionChanges,
    SubscriptionRequest,
    check_overlap,
)
from factstore.core.model.target_rules import TargetRules
from factstore.core.model.unnamed import unnamed_scope
from factstore.core.operations.deliveries import FinishDeletion
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.operation import Committed
from factstore.core.operations.subscription_changes import (
    ChangeSubscription,
    ConfirmSubscription,
    ReplaySubscription,
    RequestTest,
    StartDeletion,
    subscription_missing,
)
from factstore.core.operations.subscription_secrets import new_challenge, new_secret
from factstore.core.operations.subscriptions import CreateSubscription, RotateSecret, WithSecret
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.services.base import Find, Page
from factstore.core.services.event_service import EventService

DELETION_SECONDS = 30.0
"""The most that a deletion waits for the notifier; a lease ends earlier."""


@quick_dataclass(frozen=True, slots=True)
class SubscriptionView:
    """A subscription and its progress, and the epoch of the store in which they were found.

    :param delivery: None if nothing was delivered yet.
    """

    subscription: Subscription
    delivery: DeliveryState | None
    epoch: str

    @property
    def cursor(self) -> str:
        """The cursor up to which everything was delivered."""
        found = self.delivery
        valid = found is not None and found.replays == self.subscription.replays
        return found.cursor if found is not None and valid else self.subscription.start

    @property
    def tests_pending(self) -> int:
        """The number of requested test messages that were not sent yet."""
        return max(0, self.subscription.tests - (self.delivery.tests if self.delivery else 0))

    @property
    def etag(self) -> str:
        """The entity tag, without its quotes; a write depends on its part before the dash."""
        revision = self.delivery.revision if self.delivery else 0
        return f"{self.subscription.etag(self.epoch)}-{revision}"


class SubscriptionService(EventService):
    """The service for subscriptions.

    :param rules: of targets.
    """

    def __init__(
        self,
        store: Store,
        events: EventSource,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        encryption: Encryption,
        rules: TargetRules,
    ) -> None:
        super().__init__(store, events, clock, timeout, transactor)
        self._encryption = encryption
        self.rules = rules

    def get(self, project_id: str, subscription: str, *, stale: bool = False) -> SubscriptionView:
        """Return a subscription of a project.

        :raises NotFound: no subscription has that id.
        """
        check_name(subscription, "subscription")
        state, scope = self._state(stale=stale), unnamed_scope(project_id)
        with state.read():
            found = state.record(scope, RecordKey(Subscription, subscription))
            delivery = state.record(scope, RecordKey(DeliveryState, subscription))
        if not isinstance(found, Subscription):
            raise subscription_missing(subscription)
        return _view(found, delivery, state.epoch)

    def count(self, project_id: str) -> int:
        """Return the number of subscriptions of a project, as this worker knows it."""
        project = self._store.state().stack_state(unnamed_scope(project_id))
        return len(project.records(Subscription)) if project else 0

    def list(
        self, project_id: str, *, limit: int, marker: str = "", at: Cursor | None = None
    ) -> Page[SubscriptionView]:
        """Return a page of the subscriptions of a project, ordered by id.

        :param at: the cursor of the first page, so that all pages show one revision.
        :raises CursorExpired: the pages' revision is compacted; list again from the first page.
        """
        if marker:
            check_name(marker, "subscription")
        deliveries: dict[str, Record | None] = {}

        def shows(found: Subscription, find: Find) -> bool:
            deliveries[found.id] = find(RecordKey(DeliveryState, found.id))
            return True

        scope = unnamed_scope(project_id)
        page = self._page(scope, Subscription, limit, marker, at, shows, (DeliveryState,))
        views = [_view(each, deliveries[each.id], page.cursor.epoch) for each in page.items]
        return Page(tuple(views), page.cursor, page.marker)

    def create(
        self,
        project_id: str,
        request: SubscriptionRequest,
        author: Author,
        idempotency: Idempotency | None = None,
    ) -> tuple[WithSecret, Cursor]:
        """Create a subscription; return it with its secret, and the cursor.

        :raises Forbidden: ``quota_exceeded``.
        """
        operation = CreateSubscription(
            unnamed_scope(project_id),
            request,
            author,
            secrets.token_hex(16),
            new_secret(),
            new_challenge(),
            self._encryption,
            idempotency,
        )
        return _with_secret(self._transactor.run(operation))

    def change(
        self,
        project_id: str,
        subscription: str,
        changes: SubscriptionChanges,
        author: Author,
        precondition: Precondition = ANY,
    ) -> SubscriptionView:
        """Change a subscription, pause or resume it, and return it.

        :raises NotFound: no subscription has that id.
        :raises Conflict: ``subscription_pending``: it cannot be paused yet.
        :raises PreconditionFailed: *precondition* is not met.
        """
        check_name(subscription, "subscription")
        scope = unnamed_scope(project_id)
        operation = ChangeSubscription(scope, subscription, changes, author, precondition)
        return self._written(project_id, self._transactor.run(operation))

    def confirm(
        self, project_id: str, subscription: str, challenge: str, author: Author
    ) -> SubscriptionView:
        """Activate a pending subscription with the challenge that its target received, and return it.

        :raises NotFound: no subscription has that id.
        :raises Forbidden: ``challenge_wrong``.
        """
        check_name(subscription, "subscription")
        scope = unnamed_scope(project_id)
        operation = ConfirmSubscription(scope, subscription, challenge, author, self._encryption)
        return self._written(project_id, self._transactor.run(operation))

    def replay(
        self, project_id: str, subscription: str, since: Cursor, author: Author
    ) -> SubscriptionView:
        """Let a subscription deliver the events after a cursor again, and return it.

        :raises NotFound: no subscription has that id.
        :raises CursorExpired: the history after the cursor is not available, or is not certain to be
            available to the notifier.
        """
        found, state = self.get(project_id, subscription).subscription, self._store.state()
        if not state.includes(since):
            raise CursorExpired(
                "The cursor is from another epoch of the store, or newer than the store; send one "
                "that a message or the service contained."
            )
        selection = StackSelection(project_id, StackPatterns.of(found.stacks))
        try:
            self._events.read(selection, since, events=1, size=1)
            # A notifier that started later than this worker knows only what etcd has kept.
            self._store.stacks_at(project_id, "", 1, since.revision, self._deadline())
        except CursorExpired:
            raise CursorExpired(
                "The events after this cursor are no longer available; send a later cursor, or list "
                "the stacks and continue from the present one."
            ) from None
        scope = unnamed_scope(project_id)
        operation = ReplaySubscription(scope, subscription, since, author)
        return self._written(project_id, self._transactor.run(operation))

    def test(self, project_id: str, subscription: str, author: Author) -> SubscriptionView:
        """Request a test message, and return the subscription.

        :raises NotFound: no subscription has that id.
        :raises Conflict: ``subscription_pending``.
        """
        check_name(subscription, "subscription")
        operation = RequestTest(unnamed_scope(project_id), subscription, author)
        return self._written(project_id, self._transactor.run(operation))

    def rotate(
        self,
        project_id: str,
        subscription: str,
        overlap: int,
        author: Author,
        idempotency: Idempotency | None = None,
    ) -> tuple[WithSecret, Cursor]:
        """Replace the secret; return the subscription with the new secret, and the cursor.

        :param overlap: seconds for which messages are signed with both secrets.
        :raises NotFound: no subscription has that id.
        """
        check_name(subscription, "subscription")
        operation = RotateSecret(
            unnamed_scope(project_id),
            subscription,
            author,
            new_secret(),
            new_challenge(),
            check_overlap(overlap),
            self._encryption,
            idempotency,
        )
        return _with_secret(self._transactor.run(operation))

    def delete(
        self,
        project_id: str,
        subscription: str,
        author: Author,
        precondition: Precondition = ANY,
    ) -> None:
        """Delete a subscription; return once nothing more is delivered.

        :raises NotFound: no subscription has that id.
        :raises PreconditionFailed: *precondition* is not met.
        :raises Unavailable: ``deletion_unfinished``: its notifier has not stopped yet.
        """
        check_name(subscription, "subscription")
        scope, end = unnamed_scope(project_id), self._clock.monotonic() + DELETION_SECONDS
        self._transactor.run(StartDeletion(scope, subscription, author, precondition))
        while True:
            done = self._transactor.run(FinishDeletion(scope, subscription))
            if done.outcome:
                return
            left = end - self._clock.monotonic()
            if left <= 0 or self._events.closing:
                raise Unavailable(
                    "The deletion has begun, but the notifier that delivers the subscription has not "
                    "stopped yet. Repeat the request.",
                    code="deletion_unfinished",
                )
            self._events.wait_change(scope, done.cursor, left)

    def _written(self, project_id: str, done: Committed[Subscription]) -> SubscriptionView:
        found = done.written_record(done.outcome)
        key, state = RecordKey(DeliveryState, found.id), self._state_after(done.cursor)
        delivery = state.record(unnamed_scope(project_id), key) if state is not None else None
        return _view(found, delivery, done.cursor.epoch)


def _view(found: Subscription, delivery: Record | None, epoch: str) -> SubscriptionView:
    return SubscriptionView(found, delivery if isinstance(delivery, DeliveryState) else None, epoch)


def _with_secret(done: Committed[WithSecret]) -> tuple[WithSecret, Cursor]:
    made = done.outcome
    return WithSecret(done.written_record(made.subscription), made.secret), done.cursor
