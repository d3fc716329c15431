"""The keyring of a repository: Fernet wraps data keys, and AES-GCM encrypts with data keys.

Fernet has no associated data.  The associated data of a data key are therefore wrapped together with
it, and compared when it is unwrapped.  A change of the repository is noticed within a second, and
immediately if a key is missing.
"""

from __future__ import annotations

import hmac
import logging
import os
import threading

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from factstore.core.errors import SealBroken, SealingUnavailable
from factstore.core.ports import Clock
from factstore.keys.repository import Repository, RepositoryError

LOG = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
_NONCE_BYTES = 12  # as NIST SP 800-38D recommends for random nonces
_LENGTH_BYTES = 4


class RepositoryKeyring:
    """A :class:`~factstore.core.operations.keyring.Keyring` whose keys are in a directory."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock
        self._lock = threading.Lock()
        self._checked_at: float | None = None
        self._signature: object = None
        self._keys: tuple[Fernet, ...] = ()
        self._last_error = ""

    def new_key(self) -> bytes:
        """Return a random data key."""
        return AESGCM.generate_key(256)

    def wrap(self, key: bytes, about: bytes) -> str:
        """Return a data key wrapped with the primary key.

        :raises SealingUnavailable: the repository has no keys.
        """
        self._reload(force=True)  # after two rotations, a key that was read before them is lost
        if not self._keys:
            raise SealingUnavailable(
                "This service has no keys to seal with, so it refuses sensitive facts. An operator "
                "can create keys with factstore rotate-keys; the log of the service has details."
            )
        return self._keys[0].encrypt(_length(about) + about + key).decode()

    def unwrap(self, wrapped: str, about: bytes) -> bytes:
        """Return the data key.

        :raises SealBroken: the repository does not have its key, or it was wrapped with other
            associated data.
        """
        return self._unwrap(wrapped, about)[1]

    def rewrap(self, wrapped: str, about: bytes) -> str | None:
        """Return the data key wrapped with the primary key, or None if it is already.

        :raises SealBroken: the repository does not have its key, or it was wrapped with other
            associated data.
        """
        is_current, key = self._unwrap(wrapped, about)
        return None if is_current else self.wrap(key, about)

    def _unwrap(self, wrapped: str, about: bytes) -> tuple[bool, bytes]:
        """Return whether the data key is wrapped with the primary key, and the data key."""
        self._reload()
        found = self._decrypt_wrapped(wrapped)
        if found is None and self._reload(force=True):
            found = self._decrypt_wrapped(wrapped)
        if found is None:
            raise SealBroken(
                "The data key of this stack is wrapped with a key that is not in the repository of "
                "sealing keys. An operator must restore that key."
            )
        position, text = found
        start = _LENGTH_BYTES + int.from_bytes(text[:_LENGTH_BYTES], "big")
        if not hmac.compare_digest(text[:start], _length(about) + about):
            raise SealBroken("The data key of this stack belongs to another stack.")
        return position == 0, text[start:]

    def _decrypt_wrapped(self, wrapped: str) -> tuple[int, bytes] | None:
        for position, key in enumerate(self._keys):
            try:
                return position, key.decrypt(wrapped)
            except InvalidToken:
                continue
        return None

    def encrypt(self, key: bytes, clear: bytes, about: bytes) -> bytes:
        """Encrypt with a data key and a new random nonce."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, clear, about)

    def decrypt(self, key: bytes, sealed: bytes, about: bytes) -> bytes:
        """Return the clear bytes.

        :raises SealBroken: the bytes were not encrypted with this key and these associated data.
        """
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
        except (InvalidTag, ValueError):
            raise SealBroken("The value was not sealed with the data key of this stack.") from None

    def _reload(self, *, force: bool = False) -> bool:
        """Read the keys again if the repository has changed; return True if it has."""
        now = self._clock.monotonic()
        with self._lock:
            recent = self._checked_at is not None and now - self._checked_at < CHECK_SECONDS
            if recent and not force:
                return False
            signature = self._repository.signature()
            if self._checked_at is not None and signature == self._signature:
                self._checked_at = now
                return False
            self._checked_at, self._signature = now, signature
            try:
                self._keys = tuple(Fernet(key.text) for key in self._repository.read_keys())
                message = ""
            except RepositoryError as error:
                self._keys, message = (), str(error)
            if message and message != self._last_error:
                LOG.error("there are no keys to seal with: %s", message)
            self._last_error = message
            return True


def _length(about: bytes) -> bytes:
    return len(about).to_bytes(_LENGTH_BYTES, "big")
