"""What the domain needs from outside in order to seal: keys and ciphers, as a Protocol.

It knows neither where keys lie nor which ciphers there are.
"""

from __future__ import annotations

from typing import Protocol

from factstore.core.errors import SealBroken, SealingUnavailable


class Keyring(Protocol):
    """Keys that seal, and the ciphers that they are for.

    :param about: in every call, what the result is bound to: it opens only with the very same.
    """

    def new_key(self) -> bytes:
        """A random data key."""

    def wrap(self, key: bytes, about: bytes) -> str:
        """A data key as it may be kept, wrapped with the newest key.

        :raises SealingUnavailable: there are no keys.
        """

    def unwrap(self, wrapped: str, about: bytes) -> bytes:
        """A data key that was wrapped.

        :raises SealBroken: the key that it was wrapped with is not here, or it is about another.
        """

    def rewrap(self, wrapped: str, about: bytes) -> str | None:
        """The same data key wrapped with the newest key; None if it is already.

        :raises SealBroken: as :meth:`unwrap`.
        """

    def encrypt(self, key: bytes, clear: bytes, about: bytes) -> bytes:
        """Something encrypted under a data key, never twice the same."""

    def decrypt(self, key: bytes, sealed: bytes, about: bytes) -> bytes:
        """What was encrypted.

        :raises SealBroken: it was not, by this key and about this.
        """


class NoKeyring:
    """The keyring of a service that has none."""

    def new_key(self) -> bytes:
        raise SealingUnavailable("this service has no keys to seal with.")

    def wrap(self, key: bytes, about: bytes) -> str:
        raise SealingUnavailable("this service has no keys to seal with.")

    def unwrap(self, wrapped: str, about: bytes) -> bytes:
        raise SealBroken("this service has no keys.")

    def rewrap(self, wrapped: str, about: bytes) -> str | None:
        raise SealBroken("this service has no keys.")

    def encrypt(self, key: bytes, clear: bytes, about: bytes) -> bytes:
        raise SealingUnavailable("this service has no keys to seal with.")

    def decrypt(self, key: bytes, sealed: bytes, about: bytes) -> bytes:
        raise SealBroken("this service has no keys.")
