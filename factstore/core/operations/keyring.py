"""The interface of keys and ciphers, as a Protocol."""

from __future__ import annotations

from typing import Protocol

from factstore.core.errors import SealBroken, SealingUnavailable


class Keyring(Protocol):
    """Keys, and the ciphers that use them.

    :param about: in every call, the context that the result is bound to; it opens only with the same.
    """

    def new_key(self) -> bytes:
        """Return a random data key."""

    def wrap(self, key: bytes, about: bytes) -> str:
        """Return a data key wrapped with the newest key, to be stored.

        :raises SealingUnavailable: there are no keys.
        """

    def unwrap(self, wrapped: str, about: bytes) -> bytes:
        """Return the data key that was wrapped.

        :raises SealBroken: the wrapping key is missing, or *about* is another.
        """

    def rewrap(self, wrapped: str, about: bytes) -> str | None:
        """Return the data key wrapped with the newest key; None if it is already.

        :raises SealBroken: see :meth:`unwrap`.
        """

    def encrypt(self, key: bytes, clear: bytes, about: bytes) -> bytes:
        """Return bytes encrypted with a data key and a random nonce."""

    def decrypt(self, key: bytes, sealed: bytes, about: bytes) -> bytes:
        """Return the bytes that were encrypted.

        :raises SealBroken: they were not encrypted with this key and this *about*.
        """


class NoKeyring:
    """The keyring of a service without keys."""

    def new_key(self) -> bytes:
        raise SealingUnavailable(
            "This service has no keys to seal values with; configure a keyring."
        )

    def wrap(self, key: bytes, about: bytes) -> str:
        raise SealingUnavailable(
            "This service has no keys to seal values with; configure a keyring."
        )

    def unwrap(self, wrapped: str, about: bytes) -> bytes:
        raise SealBroken(
            "This service has no keys to open sealed values with; configure a keyring."
        )

    def rewrap(self, wrapped: str, about: bytes) -> str | None:
        raise SealBroken(
            "This service has no keys to open sealed values with; configure a keyring."
        )

    def encrypt(self, key: bytes, clear: bytes, about: bytes) -> bytes:
        raise SealingUnavailable(
            "This service has no keys to seal values with; configure a keyring."
        )

    def decrypt(self, key: bytes, sealed: bytes, about: bytes) -> bytes:
        raise SealBroken(
            "This service has no keys to open sealed values with; configure a keyring."
        )
