"""The secrets of subscriptions: made, stored and read.

Where the service has a keyring, they are sealed with the data key of the project's unnamed stack, each
bound to its subscription.  Otherwise they are stored as they are, because messages are signed with
them.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from factstore.core.errors import SealBroken, SealingUnavailable
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.record import RecordKey
from factstore.core.model.subscription import SECRET_PREFIX, Subscription, is_sealed
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.operation import View
from factstore.core.state.stack_state import StackState

SECRET_BYTES = 32
CHALLENGE_PREFIX = "challenge-"


@dataclass(frozen=True, slots=True)
class StoredTexts:
    """Texts as they are stored.

    :param guards: the revision that the data key must still have.
    :param records: the data key, if it is new.
    """

    texts: tuple[str, ...]
    guards: Mapping[RecordKey, int] = field(default_factory=dict)
    records: tuple[DataKey, ...] = ()


def new_secret() -> str:
    """Return a random secret in the form of Standard Webhooks."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def new_challenge() -> str:
    """Return a random challenge."""
    return CHALLENGE_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def stored(
    encryption: Encryption, view: View, subscription: str, texts: Sequence[str]
) -> StoredTexts:
    """Return texts in the form in which they are stored.

    :param subscription: the id of the subscription to which they are bound.
    :raises SealBroken: the project's data key cannot be unwrapped.
    """
    known = view.record(DATA_KEY)
    records: tuple[DataKey, ...] = ()
    if isinstance(known, DataKey):
        data_key = known
    else:
        try:
            data_key = encryption.new_data_key(view.stack)
        except SealingUnavailable:
            return StoredTexts(tuple(texts))
        records = (data_key,)
    sealed = [encryption.seal_text(view.stack, data_key, text, subscription) for text in texts]
    return StoredTexts(tuple(sealed), {DATA_KEY: known.revision if known else 0}, records)


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


def _clear(
    encryption: Encryption, project: StackState, subscription: Subscription, text: str
) -> str:
    if not is_sealed(text):
        return text
    data_key = project.record(DATA_KEY)
    if not isinstance(data_key, DataKey):
        raise SealBroken("the secrets of the subscription cannot be opened: there is no data key.")
    return encryption.open_text(project.stack, data_key, text, subscription.id)
