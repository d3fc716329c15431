"""Secrets of grants: random bytes and a signature, so that a guess is recognised without the database.

Only a secret that was issued with its grant's id in the same store has a valid signature.  A signature
admits nobody: the grant's record decides, and has the digest of the secret.  Secrets that earlier
versions have issued have no signature.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

RANDOM_BYTES = 24
SIGNATURE_BYTES = 8


def signed_secret(random: bytes, grant_id: str, key: bytes) -> str:
    """Return the secret of a grant in URL-safe base64.

    :param random: its first bytes count.
    :param key: known to the workers of the store alone.
    """
    random = random[:RANDOM_BYTES]
    signature = hmac.digest(key, random + grant_id.encode(), "sha256")[:SIGNATURE_BYTES]
    return as_text(random + signature)


def as_text(secret: bytes) -> str:
    """Return bytes in URL-safe base64."""
    return urlsafe_b64encode(secret).decode().rstrip("=")


def is_signed(secret: str, grant_id: str, key: bytes) -> bool:
    """Return True if a secret was issued with this grant's id; the comparison takes constant time."""
    text = secret.encode()
    try:
        random = urlsafe_b64decode(text + b"==")
    except ValueError:
        random = b""
    return hmac.compare_digest(text, signed_secret(random, grant_id, key).encode())
