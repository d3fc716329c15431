"""The writes of owners that change a subscription: its definition, its state and its position."""

from __future__ import annotations

import hmac
from dataclasses import field, replace
from typing import ClassVar

from factstore.core.errors import Conflict, Forbidden, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import DeliveryState
from factstore.core.model.fact import Author, Scope
from factstore.core.model.path import quoted
from factstore.core.model.precondition import ANY, Precondition
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.model.subscription import Subscription, SubscriptionState
from factstore.core.model.subscription_request import SubscriptionChanges
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.operation import Draft, Operation, View
from factstore.core.operations.subscription_secrets import clear_challenge


@quick_dataclass(slots=True)
class ChangeSubscription(Operation[Subscription]):
    """Change what a subscription delivers, pause it, or resume it; an equal one is left alone."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    id: str
    changes: SubscriptionChanges
    author: Author
    precondition: Precondition = ANY

    def plan(self, view: View) -> Draft[Subscription]:
        """Return the draft.

        :raises NotFound: there is no such subscription.
        :raises PreconditionFailed: *precondition* is not met.
        :raises Conflict: it is paused before its target has confirmed it.
        """
        known = living(view, self.id, self.precondition)
        names = (
            "name",
            "stacks",
            "types",
            "prefixes",
            "groups",
            "alarms",
            "max_events",
            "max_delay",
        )
        given = {name: getattr(self.changes, name) for name in names}
        wanted = {name: value for name, value in given.items() if value is not None}
        state = self._state(known)
        changed = replace(
            known, **wanted, state=state, reason=known.reason if state == known.state else None
        )
        revisions = {known.record_key: known.revision}
        if changed == known:
            return Draft(known, record_revisions=revisions)
        changed = changed_by(changed, view, self.author)
        return Draft(changed, records=(changed,), record_revisions=revisions)

    def _state(self, known: Subscription) -> SubscriptionState:
        if self.changes.paused is None:
            return known.state
        if known.state == "pending":
            if self.changes.paused:
                raise Conflict(
                    "The target has not confirmed the subscription yet, so that nothing can be paused.",
                    code="subscription_pending",
                )
            return known.state
        return "paused" if self.changes.paused else "active"


@quick_dataclass(slots=True)
class ConfirmSubscription(Operation[Subscription]):
    """Activate a pending subscription, for someone who knows the challenge that its target received."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    id: str
    challenge: str = field(repr=False)
    author: Author
    encryption: Encryption

    def plan(self, view: View) -> Draft[Subscription]:
        """Return the draft; it only confirms the state of a subscription that is not pending.

        :raises NotFound: there is no such subscription.
        :raises Forbidden: ``challenge_wrong``.
        """
        known = living(view, self.id)
        revisions = {known.record_key: known.revision}
        if known.state != "pending":
            return Draft(known, record_revisions=revisions)
        project = view.state.stack_state(self.scope)
        assert project is not None  # noqa: S101 - an unnamed stack always exists
        expected = clear_challenge(self.encryption, project, known)
        sent = self.challenge.encode(errors="surrogatepass")  # JSON may contain half a character
        if not hmac.compare_digest(expected.encode(), sent):
            raise Forbidden(
                "This is not the challenge that was sent to the target of the subscription.",
                code="challenge_wrong",
            )
        changed = replace(changed_by(known, view, self.author), state="active", reason=None)
        return Draft(changed, records=(changed,), record_revisions=revisions)


@quick_dataclass(slots=True)
class ReplaySubscription(Operation[Subscription]):
    """Deliver the events after a cursor again.

    :param since: a cursor that is still available.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    id: str
    since: Cursor
    author: Author

    def plan(self, view: View) -> Draft[Subscription]:
        """Return the draft.

        :raises NotFound: there is no such subscription.
        """
        known = living(view, self.id)
        changed = replace(
            changed_by(known, view, self.author), start=str(self.since), replays=known.replays + 1
        )
        revisions = {known.record_key: known.revision}
        return Draft(changed, records=(changed,), record_revisions=revisions)


@quick_dataclass(slots=True)
class RequestTest(Operation[Subscription]):
    """Request a test message from the notifier of a subscription."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    id: str
    author: Author

    def plan(self, view: View) -> Draft[Subscription]:
        """Return the draft.

        :raises NotFound: there is no such subscription.
        :raises Conflict: the target has not confirmed the subscription.
        """
        known = living(view, self.id)
        if known.state == "pending":
            raise Conflict(
                "The target has not confirmed the subscription yet, so that only the challenge is sent "
                "to it.",
                code="subscription_pending",
            )
        changed = replace(changed_by(known, view, self.author), tests=known.tests + 1)
        revisions = {known.record_key: known.revision}
        return Draft(changed, records=(changed,), record_revisions=revisions)


@quick_dataclass(slots=True)
class StartDeletion(Operation[Subscription]):
    """Stop the delivery of a subscription, so that its records can be deleted once it has no owner."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    id: str
    author: Author
    precondition: Precondition = ANY

    def plan(self, view: View) -> Draft[Subscription]:
        """Return the draft; it is empty if the deletion has started already.

        :raises NotFound: there is no such subscription.
        :raises PreconditionFailed: *precondition* is not met.
        """
        known = subscription_of(view, self.id)
        if known.state == "deleting":
            return Draft(known)
        _check(self.precondition, view, known)
        revisions = {known.record_key: known.revision}
        if view.full:  # the state cannot be stored; the owner notices that the record is gone
            removes = (known.record_key, RecordKey(DeliveryState, known.id))
            return Draft(known, removes=removes, record_revisions=revisions)
        changed = replace(changed_by(known, view, self.author), state="deleting", reason=None)
        return Draft(changed, records=(changed,), record_revisions=revisions)


def subscription_of(view: View, subscription: str) -> Subscription:
    """Return a subscription of a project.

    :raises NotFound: no subscription has that id.
    """
    record = view.record(RecordKey(Subscription, subscription))
    if not isinstance(record, Subscription):
        raise subscription_missing(subscription)
    return record


def living(view: View, subscription: str, precondition: Precondition = ANY) -> Subscription:
    """Return a subscription that is not being deleted, if it meets a precondition.

    :raises NotFound: no subscription has that id, or it is being deleted.
    :raises PreconditionFailed: *precondition* is not met.
    """
    found = subscription_of(view, subscription)
    if found.state == "deleting":
        raise NotFound(f"Subscription {quoted(subscription)} is being deleted.")
    _check(precondition, view, found)
    return found


def subscription_missing(subscription: str) -> NotFound:
    """Return the refusal of a request about a subscription that does not exist."""
    return NotFound(f"There is no subscription {quoted(subscription)} in the project.")


def _check(precondition: Precondition, view: View, known: Subscription) -> None:
    precondition.check(f"subscription {quoted(known.id)}", known.etag(view.state.epoch))


def changed_by(known: Subscription, view: View, author: Author) -> Subscription:
    """Return a subscription as its author changes it now."""
    return replace(
        known, updated_at=view.now, updated_by=author.user_id, request_id=author.request_id
    )
