"""The domain's keyring over a repository: Fernet wraps data keys, AES-GCM encrypts under them.

Fernet has no associated data, so what a data key is about stands inside and is compared when it is
unwrapped.  A change of the repository is noticed within a second, and at once when a key is missing;
what is in the directory then is all that there is.
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
from factstore.keys.repository import Repository, Unusable

LOG = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
_NONCE = 12  # bytes, as NIST SP 800-38D recommends for random ones
_LENGTH = 4  # bytes of a length


class RepositoryKeyring:
    """A :class:`~factstore.core.operations.keyring.Keyring`."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._seen: object = None
        self._keys: tuple[Fernet, ...] = ()
        self._said = ""

    def new_key(self) -> bytes:
        """A random data key."""
        return AESGCM.generate_key(256)

    def wrap(self, key: bytes, about: bytes) -> str:
        """A data key as it may be kept.

        :raises SealingUnavailable: there are no keys.
        """
        self._look()
        if not self._keys:
            raise SealingUnavailable(
                "this service has no keys to seal with, so it takes no sensitive facts; an operator "
                "makes them with factstore rotate-keys, and the service's log says more."
            )
        return self._keys[0].encrypt(_length(about) + about + key).decode()

    def unwrap(self, wrapped: str, about: bytes) -> bytes:
        """A data key that was wrapped.

        :raises SealBroken: its key is not here, or it is about another.
        """
        return self._unwrap(wrapped, about)[1]

    def rewrapped(self, wrapped: str, about: bytes) -> str | None:
        """The same data key wrapped with the newest key; None if it is already.

        :raises SealBroken: its key is not here, or it is about another.
        """
        newest, key = self._unwrap(wrapped, about)
        return None if newest else self.wrap(key, about)

    def _unwrap(self, wrapped: str, about: bytes) -> tuple[bool, bytes]:
        """Whether it was the newest key that unwraps, and what is inside."""
        self._look()
        found = self._decrypted(wrapped)
        if found is None and self._look(at_once=True):
            found = self._decrypted(wrapped)
        if found is None:
            raise SealBroken(
                "the key that this stack's data key is wrapped with is not here; an operator has to "
                "bring it back into the repository of sealing keys."
            )
        at, inside = found
        start = _LENGTH + int.from_bytes(inside[:_LENGTH], "big")
        if not hmac.compare_digest(inside[:start], _length(about) + about):
            raise SealBroken("this stack's data key is another stack's.")
        return at == 0, inside[start:]

    def _decrypted(self, wrapped: str) -> tuple[int, bytes] | None:
        for at, key in enumerate(self._keys):
            try:
                return at, key.decrypt(wrapped)
            except InvalidToken:
                continue
        return None

    def encrypt(self, key: bytes, clear: bytes, about: bytes) -> bytes:
        """Something encrypted under a data key, never twice the same."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(key).encrypt(nonce, clear, about)

    def decrypt(self, key: bytes, sealed: bytes, about: bytes) -> bytes:
        """What was encrypted.

        :raises SealBroken: it was not, by this key and about this.
        """
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
        except (InvalidTag, ValueError):
            raise SealBroken("it was not sealed so.") from None

    def _look(self, *, at_once: bool = False) -> bool:
        """Take in what has changed in the repository; whether anything had."""
        now = self._clock.monotonic()
        with self._lock:
            recent = self._looked_at is not None and now - self._looked_at < LOOK_SECONDS
            if recent and not at_once:
                return False
            seen = self._repository.signature()
            if self._looked_at is not None and seen == self._seen:
                self._looked_at = now
                return False
            self._looked_at, self._seen = now, seen
            try:
                self._keys = tuple(Fernet(key.text) for key in self._repository.held())
                said = ""
            except Unusable as error:
                self._keys, said = (), str(error)
            if said and said != self._said:
                LOG.error("there are no keys to seal with: %s", said)
            self._said = said
            return True


def _length(about: bytes) -> bytes:
    return len(about).to_bytes(_LENGTH, "big")
