"""Verifies the messages that the service delivers to a webhook.

The signatures are those of the `Standard Webhooks specification <https://www.standardwebhooks.com>`_,
so other libraries for it can verify the messages, too.  The module needs no other package.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from factstore.client.errors import FactstoreError

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300


class InvalidSignature(FactstoreError):
    """A message is not from the service, was changed, or is too old."""


def verify_webhook(
    secrets: str | Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> Any:
    """Return the message in a request, parsed from JSON, after its signature has been verified.

    Events arrive at least once and in order.  When an answer was lost, or a notifier was killed, the
    last ones are sent again.  So store the ``id`` of each event, and ignore events that repeat one.

    :param secrets: the secret of the subscription, or several while it is rotated.
    :param headers: the headers of the request; the case of their names does not matter.
    :param body: the exact bytes of the body.
    :param tolerance: the maximum age of the message in seconds.
    :param now: the seconds since 1970; None for the present time.
    :raises InvalidSignature: do not use the message, and answer with status 401.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        message_id = lower["webhook-id"]
        timestamp = lower["webhook-timestamp"]
        signatures = lower["webhook-signature"]
    except KeyError as error:
        raise InvalidSignature(f"The request has no header {error.args[0]}.") from None
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        raise InvalidSignature("The header webhook-timestamp is not a number of seconds.")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance:
        raise InvalidSignature("The message is too old, or the clocks differ.")
    content = f"{message_id}.{timestamp}.".encode() + body
    known = [secrets] if isinstance(secrets, str) else list(secrets)
    wanted = [hmac.new(_key(secret), content, hashlib.sha256).digest() for secret in known]
    matches = False
    for signature in signatures.split(" "):
        version, _, text = signature.partition(",")
        if version == "v1":
            given = _decoded(text)
            for each in wanted:
                matches |= hmac.compare_digest(given, each)
    if not matches:
        raise InvalidSignature("No signature of the message matches the secret.")
    return json.loads(body)


def _key(secret: str) -> bytes:
    text = secret[len(PREFIX) :] if secret.startswith(PREFIX) else secret
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise InvalidSignature("The secret is not valid: it is not base64.") from None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
