"""The writes of owners that make a secret: creating a subscription, and rotating its secret."""

from __future__ import annotations

import json
from dataclasses import field, replace
from typing import Any, ClassVar

from factstore.core.errors import SealBroken
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Author, Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.receipt import Receipt
from factstore.core.model.subscription import Subscription
from factstore.core.model.subscription_request import SubscriptionRequest
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.grants import add_seconds
from factstore.core.operations.idempotency import Idempotency, key_reused
from factstore.core.operations.operation import Draft, Operation, View
from factstore.core.operations.subscription_changes import changed_by, living, subscription_of
from factstore.core.operations.subscription_secrets import (
    clear_challenge,
    signing_secrets,
    stored,
)


@quick_dataclass(frozen=True, slots=True)
class WithSecret:
    """A subscription with its newest secret in the clear; None if another one has replaced it."""

    subscription: Subscription
    secret: str | None = field(repr=False)


class _WithSecretOperation(Operation[WithSecret]):
    """An operation whose outcome contains a new secret, also when it is replayed.

    Its receipt contains the id of the subscription, and no secret.
    """

    encryption: Encryption

    def to_receipt(self, view: View, draft: Draft[WithSecret]) -> Receipt:
        """Return the receipt."""
        assert self.idempotency is not None  # noqa: S101 - or no receipt is needed
        assert self.author is not None  # noqa: S101 - an owner is the author
        made = draft.outcome.subscription
        entry = {"outcome": "created", "id": made.id, "rotated_at": made.rotated_at}
        return Receipt(
            self.idempotency.key,
            self.idempotency.fingerprint,
            json.dumps([entry]),
            view.now,
            self.author.user_id,
            self.author.request_id,
        )

    def replay(self, receipt: Receipt, view: View) -> WithSecret:
        """Return the outcome of the first request, while the secret is still the newest.

        :raises Conflict: ``idempotency_key_reused``.
        :raises NotFound: the subscription was deleted since.
        """
        assert self.idempotency is not None  # noqa: S101 - it has been looked up
        if receipt.fingerprint != self.idempotency.fingerprint:
            raise key_reused()
        entry: dict[str, Any] = json.loads(receipt.results)[0]
        found = subscription_of(view, entry["id"])
        if found.rotated_at != entry["rotated_at"] or view.stack_state is None:
            return WithSecret(found, None)
        return WithSecret(found, signing_secrets(self.encryption, view.stack_state, found, "")[0])


@quick_dataclass(slots=True)
class CreateSubscription(_WithSecretOperation):
    """Create a subscription, which delivers the events after the moment of its creation.

    :param scope: of the project.
    :param id: new.
    :param secret: with which messages are signed.
    """

    scope: Scope
    request: SubscriptionRequest
    author: Author
    id: str
    secret: str = field(repr=False)
    challenge: str = field(repr=False)
    encryption: Encryption
    idempotency: Idempotency | None = None

    def plan(self, view: View) -> Draft[WithSecret]:
        """Return the draft."""
        request = self.request
        texts = (self.secret, self.challenge)
        wrapped_key, kept = stored(self.encryption, self.scope.project_id, self.id, texts)
        made = Subscription(
            id=self.id,
            name=request.name,
            target=request.target.text,
            stacks=request.stacks,
            types=request.types,
            prefixes=request.prefixes,
            groups=request.groups,
            alarms=request.alarms,
            max_events=request.max_events,
            max_delay=request.max_delay,
            state="pending" if request.target.needs_challenge else "active",
            reason=None,
            secrets=kept[:1],
            wrapped_key=wrapped_key,
            former_until=None,
            rotated_at=None,
            challenge=kept[1],
            start=str(Cursor(view.state.epoch, view.state.revision)),
            created_at=view.now,
            created_by=self.author.user_id,
            updated_at=view.now,
            updated_by=self.author.user_id,
            request_id=self.author.request_id,
            replays=0,
            tests=0,
        )
        return Draft(
            WithSecret(made, self.secret),
            records=(made,),
            record_revisions={made.record_key: 0},
        )


@quick_dataclass(slots=True)
class RotateSecret(_WithSecretOperation):
    """Replace the secret of a subscription.

    :param challenge: replaces the challenge if that cannot be opened any more.
    :param overlap: seconds for which messages are signed with both secrets.
    """

    counts_toward_quota: ClassVar[bool] = False

    scope: Scope
    id: str
    author: Author
    secret: str = field(repr=False)
    challenge: str = field(repr=False)
    overlap: int
    encryption: Encryption
    idempotency: Idempotency | None = None

    def plan(self, view: View) -> Draft[WithSecret]:
        """Return the draft.

        :raises NotFound: there is no such subscription.
        :raises SealBroken: the former secret cannot be opened, and *overlap* is not 0.
        """
        known, project = living(view, self.id), view.stack_state
        assert project is not None  # noqa: S101 - an unnamed stack always exists
        texts = [self.secret]
        if self.overlap:
            texts.append(signing_secrets(self.encryption, project, known, "9999")[0])
        try:
            challenge = clear_challenge(self.encryption, project, known)
        except SealBroken:
            challenge = self.challenge
        texts.append(challenge)
        wrapped_key, kept = stored(self.encryption, self.scope.project_id, self.id, texts)
        changed = replace(
            changed_by(known, view, self.author),
            secrets=kept[:-1],
            wrapped_key=wrapped_key,
            challenge=kept[-1],
            former_until=add_seconds(view.now, self.overlap) if self.overlap else None,
            rotated_at=view.now,
        )
        revisions = {known.record_key: known.revision}
        return Draft(
            WithSecret(changed, self.secret), records=(changed,), record_revisions=revisions
        )
