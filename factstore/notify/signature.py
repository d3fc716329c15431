"""Signatures of messages, as the Standard Webhooks specification describes them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import lru_cache

PREFIX = "whsec_"
"""Begins the text of a secret."""
BLOCK_BYTES = hashlib.sha256().block_size


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
    """Return the HMAC (RFC 2104) with SHA-256 of a message."""
    inner, outer = (each.copy() for each in _keyed(secret))
    inner.update(content)
    outer.update(inner.digest())
    return base64.b64encode(outer.digest()).decode()


@lru_cache(4096)
def _keyed(secret: str) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Return the two hashes of an HMAC, after the key; that is most of the work for a short message."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    if len(key) > BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key.ljust(BLOCK_BYTES, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)
