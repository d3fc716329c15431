"""Writes that the service itself makes: data keys that are wrapped again, and deletion markers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.event import DELETION_MARKER, DeletionMarker
from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.model.subscription import Subscription
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.operation import Draft, Operation, View
from factstore.core.operations.subscription_secrets import of_subscription


@quick_dataclass(slots=True)
class RewrapDataKey(Operation[bool]):
    """Wrap a stack's data key with the newest key; the outcome is whether it had to be."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    encryption: Encryption
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft; it is empty if the data key is current, or gone.

        :raises SealBroken: the data key cannot be unwrapped.
        """
        known = view.record(DATA_KEY)
        if not isinstance(known, DataKey):
            return Draft(False)
        wrapped = self.encryption.rewrap(view.stack, known)
        if wrapped is None:
            return Draft(False)
        return Draft(True, records=(wrapped,), record_revisions={DATA_KEY: known.revision})


@quick_dataclass(slots=True)
class RewrapSubscriptionKey(Operation[bool]):
    """Wrap a subscription's data key with the newest key; the outcome is whether it had to be."""

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    id: str
    encryption: Encryption
    author: None = None

    def plan(self, view: View) -> Draft[bool]:
        """Return the draft; it is empty if the data key is current, or gone.

        :raises SealBroken: the data key cannot be unwrapped.
        """
        known = view.record(RecordKey(Subscription, self.id))
        if not isinstance(known, Subscription) or not known.wrapped_key:
            return Draft(False)
        about = of_subscription(self.scope.project_id, self.id)
        wrapped = self.encryption.rewrap_key(known.wrapped_key, *about)
        if wrapped is None:
            return Draft(False)
        changed = replace(known, wrapped_key=wrapped)
        revisions = {known.record_key: known.revision}
        return Draft(True, records=(changed,), record_revisions=revisions)


@quick_dataclass(slots=True)
class MarkDeletion(Operation[None]):
    """Record the deletions that moved a stack's target.

    A state that is loaded could not know it: nothing is left of what was deleted.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    marker: DeletionMarker
    author: None = None

    def plan(self, view: View) -> Draft[None]:
        """Return the draft; it is empty if a marker that is as new exists."""
        known = view.record(DELETION_MARKER)
        if view.stack_state is None or (
            isinstance(known, DeletionMarker) and known.seen >= self.marker.seen
        ):
            return Draft(None)
        return Draft(
            None,
            records=(self.marker,),
            record_revisions={DELETION_MARKER: known.revision if known else 0},
        )
