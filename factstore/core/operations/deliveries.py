"""The writes of notifiers: which of them owns a subscription, and what it has delivered.

Every write of a notifier about a subscription is guarded by its record of ownership, so that nothing
is written once another notifier may own the subscription.  An outcome that denies ownership is
confirmed by the store, because the state of this process may be old.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from factstore.core.model.delivery import DeliveryState, Notifier, Owner
from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.subscription import Subscription, SubscriptionState
from factstore.core.model.unnamed import SERVICE
from factstore.core.operations.operation import Draft, Operation, View


@quick_dataclass(slots=True)
class RegisterNotifier(Operation[Notifier]):
    """Write the record of a notifier, on its lease."""

    counts_toward_quota: ClassVar[bool] = False

    notifier: Notifier
    lease: int
    scope: Scope = SERVICE
    author: None = None

    def plan(self, view: View) -> Draft[Notifier]:
        """Return the draft."""
        key, registered = self.notifier.record_key, replace(self.notifier, lease=self.lease)
        revisions = {key: _revision(view.record(key))}
        return Draft(registered, records=(registered,), record_revisions=revisions)


@quick_dataclass(slots=True)
class ClaimSubscription(Operation[Owner | None]):
    """Become the owner of a subscription; the outcome is None if it has one, or is being deleted.

    :param scope: of the subscription's project.
    :param lease: the notifier's.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    subscription: str
    notifier: str
    lease: int
    author: None = None

    def plan(self, view: View) -> Draft[Owner | None]:
        """Return the draft."""
        owner = Owner(self.subscription, self.notifier, lease=self.lease)
        known, key = view.record(owner.record_key), RecordKey(Subscription, self.subscription)
        subscription = view.record(key)
        revisions = {owner.record_key: _revision(known), key: _revision(subscription)}
        if isinstance(known, Owner):
            mine = known.notifier == self.notifier and known.lease == self.lease
            return Draft(known if mine else None, record_revisions=revisions)
        if not isinstance(subscription, Subscription) or subscription.state == "deleting":
            return Draft(None, record_revisions=revisions)
        return Draft(owner, records=(owner,), record_revisions=revisions)


@quick_dataclass(slots=True)
class ReleaseSubscription(Operation[bool]):
    """Stop being the owner of a subscription; the outcome is False if the notifier was not the owner.

    If the subscription is being deleted, its records are deleted in the same write.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    owner: Owner
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft."""
        known = view.record(self.owner.record_key)
        if known is None or known.revision != self.owner.revision:
            return Draft(False, record_revisions={self.owner.record_key: _revision(known)})
        subscription = view.record(RecordKey(Subscription, self.owner.subscription))
        removes: tuple[RecordKey, ...] = (known.record_key,)
        revisions = {known.record_key: known.revision}
        if isinstance(subscription, Subscription) and subscription.state == "deleting":
            removes += (subscription.record_key, RecordKey(DeliveryState, subscription.id))
            revisions[subscription.record_key] = subscription.revision
        return Draft(True, removes=removes, record_revisions=revisions)


@quick_dataclass(slots=True)
class RecordDelivery(Operation[bool]):
    """Write the progress of a subscription; the outcome is False if the notifier is not its owner.

    :param owner: the record of ownership, as it was written.
    :param state: the subscription's new state; None if it stays.
    :param reason: of the new state.
    :param was: the revision of the subscription on which the new state was decided; with another, the
        state stays.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    owner: Owner
    delivery: DeliveryState
    state: SubscriptionState | None = None
    reason: str | None = None
    was: int = 0
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft."""
        owner = view.record(self.owner.record_key)
        subscription = view.record(RecordKey(Subscription, self.owner.subscription))
        if owner is None or owner.revision != self.owner.revision:
            return Draft(False, record_revisions={self.owner.record_key: _revision(owner)})
        if not isinstance(subscription, Subscription):
            return Draft(False)
        key, records = self.delivery.record_key, (self.delivery,)
        revisions = {owner.record_key: owner.revision, key: _revision(view.record(key))}
        if self.state is None or subscription.revision != self.was:
            return Draft(True, records=records, record_revisions=revisions)
        changed = replace(
            subscription,
            state=self.state,
            reason=self.reason,
            updated_at=view.now,
            updated_by="",
            request_id="",
        )
        revisions[changed.record_key] = subscription.revision
        return Draft(True, records=(*records, changed), record_revisions=revisions)


@quick_dataclass(slots=True)
class FinishDeletion(Operation[bool]):
    """Delete the records of a subscription that is being deleted.

    The outcome is False if it still has an owner, also if the record of the subscription is gone
    already.  A subscription whose deletion has not started is left alone.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    subscription: str
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft."""
        owner, key = RecordKey(Owner, self.subscription), RecordKey(Subscription, self.subscription)
        known, owned = view.record(key), view.record(owner)
        revisions = {key: _revision(known), owner: _revision(owned)}
        if isinstance(known, Subscription) and known.state != "deleting":
            return Draft(True, record_revisions=revisions)
        if owned is not None or known is None:
            return Draft(owned is None, record_revisions=revisions)
        removes = (key, RecordKey(DeliveryState, self.subscription))
        return Draft(True, removes=removes, record_revisions=revisions)


def _revision(record: Record | None) -> int:
    return record.revision if record else 0
