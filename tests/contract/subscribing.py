"""Subscriptions for tests, written without the service."""

from __future__ import annotations

import secrets

from factstore.core.model.delivery import Owner
from factstore.core.model.record import RecordKey
from factstore.core.model.subscription import Subscription
from factstore.core.model.subscription_request import SubscriptionChanges, SubscriptionRequest
from factstore.core.model.target_rules import TargetRules
from factstore.core.model.unnamed import unnamed_scope
from factstore.core.operations.deliveries import (
    ClaimSubscription,
)
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.idempotency import Idempotency
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.subscription_changes import (
    ChangeSubscription,
    ConfirmSubscription,
)
from factstore.core.operations.subscriptions import CreateSubscription, RotateSecret, WithSecret
from tests.contract.world import PROJECT, Worker, author, soon

SCOPE = unnamed_scope(PROJECT)
PLAIN = Encryption(NoKeyring())
SECRET, CHALLENGE = "whsec_c2VjcmV0", "challenge-x"


def create(
    worker: Worker,
    target: str = "https://receiver.example.com/",
    *,
    encryption: Encryption = PLAIN,
    idempotency: Idempotency | None = None,
) -> WithSecret:
    request = SubscriptionRequest.of(target, TargetRules())
    new_id = secrets.token_hex(16)
    operation = CreateSubscription(
        SCOPE, request, author(), new_id, SECRET, CHALLENGE, encryption, idempotency
    )
    return worker.transactor.run(operation).outcome


def stored(worker: Worker, subscription: str) -> Subscription:
    found = worker.store.refresh(soon()).record(SCOPE, RecordKey(Subscription, subscription))
    assert isinstance(found, Subscription)
    return found


def claim(worker: Worker, subscription: str, notifier: str, lease: int) -> Owner | None:
    done = worker.transactor.run(ClaimSubscription(SCOPE, subscription, notifier, lease))
    return None if done.outcome is None else done.written_record(done.outcome)


def confirm(worker: Worker, subscription: str, challenge: str = CHALLENGE) -> Subscription:
    operation = ConfirmSubscription(SCOPE, subscription, challenge, author(), PLAIN)
    return worker.transactor.run(operation).outcome


def rotation(
    subscription: str,
    secret: str,
    *,
    overlap: int = 60,
    encryption: Encryption = PLAIN,
    idempotency: Idempotency | None = None,
) -> RotateSecret:
    return RotateSecret(
        SCOPE, subscription, author(), secret, "challenge-z", overlap, encryption, idempotency
    )


def change(worker: Worker, subscription: str, **changes: object) -> Subscription:
    checked = SubscriptionChanges.of(**changes)  # type: ignore[arg-type]
    return worker.transactor.run(ChangeSubscription(SCOPE, subscription, checked, author())).outcome
