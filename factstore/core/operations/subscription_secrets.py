"""The secrets of subscriptions: made, stored and read.

Where the service has a keyring, they are sealed with a data key of their subscription, which is wrapped
with a key of the keyring.  Otherwise they are stored as they are, because messages are signed with
them.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Sequence

from factstore.core.errors import SealingUnavailable
from factstore.core.model.subscription import SECRET_PREFIX, Subscription
from factstore.core.operations.encryption import Encryption
from factstore.core.state.stack_state import StackState

SECRET_BYTES = 32
CHALLENGE_PREFIX = "challenge-"


def new_secret() -> str:
    """Return a random secret in the form of Standard Webhooks."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def new_challenge() -> str:
    """Return a random challenge."""
    return CHALLENGE_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def stored(
    encryption: Encryption, project_id: str, subscription: str, texts: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return a new wrapped data key, and texts that are sealed with it.

    Without a keyring, the key is empty and the texts are returned unchanged.

    :param subscription: the id of the subscription to which they are bound.
    """
    about = of_subscription(project_id, subscription)
    try:
        wrapped = encryption.new_wrapped_key(*about)
    except SealingUnavailable:
        return "", tuple(texts)
    return wrapped, tuple([encryption.seal_text(wrapped, text, *about) for text in texts])


def signing_secrets(
    encryption: Encryption, project: StackState, subscription: Subscription, now: str
) -> tuple[str, ...]:
    """Return the secrets with which messages are signed now, the newest first.

    :param project: the unnamed stack of the subscription's project.
    :param now: the present moment, ISO 8601 in UTC.
    :raises SealBroken: they cannot be opened.
    """
    until = subscription.former_until
    valid = subscription.secrets[: 2 if until is not None and now < until else 1]
    return tuple([_clear(encryption, project, subscription, text) for text in valid])


def clear_challenge(encryption: Encryption, project: StackState, subscription: Subscription) -> str:
    """Return the challenge that a pending target has to send back.

    :raises SealBroken: it cannot be opened.
    """
    return _clear(encryption, project, subscription, subscription.challenge)


def of_subscription(project_id: str, subscription: str) -> tuple[str, ...]:
    """Return the texts to which the data key and the secrets of a subscription are bound."""
    return project_id, "subscription", subscription


def _clear(
    encryption: Encryption, project: StackState, subscription: Subscription, text: str
) -> str:
    if not subscription.wrapped_key:
        return text
    about = of_subscription(project.stack.project_id, subscription.id)
    return encryption.open_text(subscription.wrapped_key, text, *about)
