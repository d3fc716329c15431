"""Divides subscriptions among notifiers: when a notifier starts or ends, few of them move."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def chosen(notifiers: Iterable[str], subscription: str) -> str | None:
    """Return the notifier that is to own a subscription, by rendezvous hashing."""
    return max(notifiers, key=lambda name: _score(name, subscription), default=None)


def _score(notifier: str, subscription: str) -> tuple[bytes, str]:
    text = f"{notifier}/{subscription}".encode()
    return hashlib.blake2b(text, digest_size=8).digest(), notifier
