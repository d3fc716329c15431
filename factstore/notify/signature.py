"""Signatures of messages, as the Standard Webhooks specification describes them."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"
"""Begins the text of a secret."""


def signed_headers(
    message_id: str, timestamp: int, body: bytes, secrets: Iterable[str]
) -> dict[str, str]:
    """Return the headers of a message.

    :param timestamp: the seconds since 1970 at which it is sent.
    :param secrets: as texts; while secrets are rotated there are several, and a signature with each.
    """
    content = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_sign(secret, content)}" for secret in secrets),
    }


def _sign(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()
