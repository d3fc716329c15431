"""Sealing and opening the values of sensitive facts.

A value is encrypted with its stack's data key and bound to the project, the stack, the path and the
readers of its fact: if it is moved to another fact or its readers are changed, it cannot be opened.
The data key is wrapped with a key of the service's :class:`Keyring` and bound to project and stack.  So
no value is stored, mirrored or sent to watchers in the clear, but only processed during a request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from factstore.core.errors import SealBroken
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import MASK, Delete, Fact, Put, Stack
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.model.secret_readers import SecretReader
from factstore.core.operations.keyring import Keyring

_VERSION = "1."  # the prefix of a sealed value: the format
SEALED_PATTERN = re.compile(r"1\.[A-Za-z0-9_-]{38,}={0,2}")
"""A nonce of 12 bytes, a value of at least one, and a tag of 16; in URL-safe base64."""


@quick_dataclass(frozen=True, slots=True)
class SealedRequests:
    """Requests with sealed values, and the records to write with them.

    :param guards: the revision that the stack's data key must still have.
    :param records: the stack's data key, if it is new.
    """

    requests: Sequence[Put | Delete]
    guards: Mapping[RecordKey, int] = field(default_factory=dict)
    records: tuple[DataKey, ...] = ()


class Encryption:
    """Seals and opens values.

    :param keyring: provides keys and ciphers.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(
        self,
        stack: Stack,
        data_key: DataKey | None,
        requests: Sequence[Put | Delete],
        known: Mapping[str, Fact | None],
        reader: SecretReader,
    ) -> SealedRequests:
        """Return requests whose sensitive values are sealed.

        If the stored value is equal and the author may see it, the request keeps the stored text, so
        that the write changes nothing.

        :param data_key: the stack's data key, or None if it has none.
        :param known: the stored facts at the requests' paths.
        :raises SealingUnavailable: there are no keys.
        :raises SealBroken: the stack's data key cannot be unwrapped.
        """
        records: tuple[DataKey, ...] = ()
        if data_key is None:
            key = self._keyring.new_key()
            records = (DataKey(self._keyring.wrap(key, _of_stack(stack))),)
        else:
            key = self.data_key(stack, data_key)
        sealed = [
            self._sealed(stack, key, put, known[put.path], reader)
            if isinstance(put, Put) and put.sensitive
            else put
            for put in requests
        ]
        return SealedRequests(sealed, {DATA_KEY: data_key.revision if data_key else 0}, records)

    def _sealed(
        self, stack: Stack, key: bytes, put: Put, known: Fact | None, reader: SecretReader
    ) -> Put:
        if known is not None and self._holds(stack, key, known, put, reader):
            return replace(put, text=known.text, sealed=known.sealed)
        about = _of_fact(stack, put.path, put.readers)
        sealed = self._keyring.encrypt(key, put.text.encode(), about)
        return replace(put, text=MASK, sealed=_VERSION + urlsafe_b64encode(sealed).decode())

    def _holds(self, stack: Stack, key: bytes, known: Fact, put: Put, reader: SecretReader) -> bool:
        """Return True if the stored value is equal and the author may see it."""
        if not known.sensitive or known.readers != put.readers:
            return False
        if not reader.may_reveal(known.path, known.readers):
            return False
        try:
            return hmac.compare_digest(self._opened(stack, key, known), put.text.encode())
        except SealBroken:
            return False  # a value that cannot be opened can be replaced

    def open(self, stack: Stack, data_key: DataKey | None, fact: Fact) -> str:
        """Return the canonical JSON of a sensitive fact's value.

        :param data_key: the stack's, if it has one.
        :raises SealBroken: it cannot be opened.
        """
        if data_key is None:
            raise _broken(fact.path, "its stack has no data key")
        return self._opened(stack, self.data_key(stack, data_key), fact).decode()

    def _opened(self, stack: Stack, key: bytes, fact: Fact) -> bytes:
        if fact.sealed is None or not SEALED_PATTERN.fullmatch(fact.sealed):
            raise _broken(fact.path, "the stored text is not a sealed value")
        try:
            sealed = urlsafe_b64decode(fact.sealed.removeprefix(_VERSION))
            about = _of_fact(stack, fact.path, fact.readers)
            return self._keyring.decrypt(key, sealed, about)
        except (SealBroken, ValueError):
            problem = "the stored text was not sealed for this path of this stack and these readers"
            raise _broken(fact.path, problem) from None

    def new_data_key(self, stack: Stack) -> DataKey:
        """Return a data key for a stack that has none.

        :raises SealingUnavailable: there are no keys.
        """
        return DataKey(self._keyring.wrap(self._keyring.new_key(), _of_stack(stack)))

    def derive(self, stack: Stack, data_key: DataKey, purpose: str) -> bytes:
        """Return a secret of 256 bits, the same each time for a purpose.

        :raises SealBroken: the data key cannot be unwrapped.
        """
        key = hmac.digest(self.data_key(stack, data_key), b"derived secret", "sha256")
        return hmac.digest(key, purpose.encode(), "sha256")

    def new_wrapped_key(self, *about: str) -> str:
        """Return a new data key, wrapped and bound to texts that identify its use.

        :raises SealingUnavailable: there are no keys.
        """
        return self._keyring.wrap(self._keyring.new_key(), _fields(*about))

    def rewrap_key(self, wrapped: str, *about: str) -> str | None:
        """Return a data key wrapped with the newest key; None if it is already.

        :raises SealBroken: it cannot be unwrapped.
        """
        return self._keyring.rewrap(wrapped, _fields(*about))

    def seal_text(self, wrapped: str, text: str, *about: str) -> str:
        """Return a text sealed with a data key that :meth:`new_wrapped_key` returned.

        :raises SealBroken: the data key cannot be unwrapped.
        """
        key = self._keyring.unwrap(wrapped, _fields(*about))
        sealed = self._keyring.encrypt(key, text.encode(), _fields(*about))
        return _VERSION + urlsafe_b64encode(sealed).decode()

    def open_text(self, wrapped: str, sealed: str, *about: str) -> str:
        """Return the text that :meth:`seal_text` sealed.

        :raises SealBroken: it cannot be opened.
        """
        key = self._keyring.unwrap(wrapped, _fields(*about))
        try:
            opened = urlsafe_b64decode(sealed.removeprefix(_VERSION))
            return self._keyring.decrypt(key, opened, _fields(*about)).decode()
        except ValueError:
            raise SealBroken("A sealed text cannot be opened: it is not sealed.") from None

    def data_key(self, stack: Stack, data_key: DataKey) -> bytes:
        """Return a stack's data key.

        :raises SealBroken: it cannot be opened.
        """
        return self._keyring.unwrap(data_key.wrapped, _of_stack(stack))

    def rewrap(self, stack: Stack, data_key: DataKey) -> DataKey | None:
        """Return a stack's data key wrapped with the newest key; None if it is already.

        :raises SealBroken: the data key cannot be unwrapped.
        """
        wrapped = self._keyring.rewrap(data_key.wrapped, _of_stack(stack))
        return None if wrapped is None else DataKey(wrapped)

    def fingerprint(self, stack: Stack, data_key: DataKey, fingerprint: str) -> str:
        """Return a request's fingerprint, keyed with the stack's data key."""
        # A plain hash would allow readers of the store to try values out.
        key = hmac.digest(self.data_key(stack, data_key), b"receipt", "sha256")
        return hmac.new(key, fingerprint.encode(), hashlib.sha256).hexdigest()

    def seal_digest(self, digest: str, *about: str) -> str:
        """Return a digest of 256 bits, sealed with the newest key and bound to texts.

        :raises SealingUnavailable: there are no keys.
        """
        return self._keyring.wrap(bytes.fromhex(digest), _fields(*about))

    def opens_digest(self, sealed: str, digest: str, *about: str) -> bool:
        """Return True if a sealed digest is this one.

        :raises SealBroken: it cannot be opened.
        """
        return hmac.compare_digest(
            self._keyring.unwrap(sealed, _fields(*about)), bytes.fromhex(digest)
        )


def _of_stack(stack: Stack) -> bytes:
    return _fields(stack.project_id, stack.id)


def _of_fact(stack: Stack, path: str, readers: Sequence[str]) -> bytes:
    return _fields(stack.project_id, stack.id, path, *readers)


def _fields(*texts: str) -> bytes:
    """Return several texts as bytes that no other texts produce."""
    parts = [text.encode() for text in texts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _broken(path: str, problem: str) -> SealBroken:
    return SealBroken(f"The value of {quoted(path)} cannot be opened: {problem}.")
