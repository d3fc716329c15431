"""Sealing: what is kept of the values of sensitive facts, and what opens it again.

A value is encrypted under its stack's data key and bound to the project, the stack, the path and the
readers of its fact: moved to where it does not belong, or to whom it is not for, it does not open.  The
data key is wrapped with a key of the service's :class:`Keyring` and bound to
project and stack.  So nothing that is stored, mirrored or told to watchers holds a value: it is in the
clear only while a request that brings or reads it is under way.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from factstore.core.errors import SealBroken
from factstore.core.model.data_key import DATA_KEY, DataKey
from factstore.core.model.fact import MASK, Delete, Fact, Put, Stack
from factstore.core.model.path import quoted
from factstore.core.model.record_key import RecordKey
from factstore.core.model.secret_readers import SecretReader
from factstore.core.operations.keyring import Keyring

_VERSION = "1."  # what a sealed value begins with: how it was sealed
SEALED_PATTERN = re.compile(r"1\.[A-Za-z0-9_-]{38,}={0,2}")
"""A nonce of 12 bytes, a value of at least one, and a tag of 16; in URL-safe base64."""


@dataclass(frozen=True, slots=True)
class SealedRequests:
    """Wishes of which no value shows any more, and what has to be written beside them.

    :param guards: what must still hold of the stack's seal.
    :param records: the stack's seal, if it is new.
    """

    requests: Sequence[Put | Delete]
    guards: Mapping[RecordKey, int] = field(default_factory=dict)
    records: tuple[DataKey, ...] = ()


class Encryption:
    """Seals and opens.

    :param keyring: where keys and ciphers come from.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(
        self,
        stack: Stack,
        seal: DataKey | None,
        requests: Sequence[Put | Delete],
        known: Mapping[str, Fact | None],
        reader: SecretReader,
    ) -> SealedRequests:
        """Wishes as they may be written.

        One that brings the value that is stored already, from somebody who may know that, becomes
        what is stored: so it changes nothing.

        :param seal: the stack's, if it has one.
        :param known: what is stored at the requests' paths.
        :raises SealingUnavailable: there are no keys.
        :raises SealBroken: the stack's data key cannot be had.
        """
        records: tuple[DataKey, ...] = ()
        if seal is None:
            key = self._keyring.new_key()
            records = (DataKey(self._keyring.wrap(key, _of_stack(stack))),)
        else:
            key = self.data_key(stack, seal)
        sealed = [
            self._sealed(stack, key, put, known[put.path], reader)
            if isinstance(put, Put) and put.sensitive
            else put
            for put in requests
        ]
        return SealedRequests(sealed, {DATA_KEY: seal.revision if seal else 0}, records)

    def _sealed(
        self, stack: Stack, key: bytes, put: Put, known: Fact | None, reader: SecretReader
    ) -> Put:
        if known is not None and self._holds(stack, key, known, put, reader):
            return replace(put, text=known.text, sealed=known.sealed)
        about = _of_fact(stack, put.path, put.readers)
        sealed = self._keyring.encrypt(key, put.text.encode(), about)
        return replace(put, text=MASK, sealed=_VERSION + urlsafe_b64encode(sealed).decode())

    def _holds(self, stack: Stack, key: bytes, known: Fact, put: Put, reader: SecretReader) -> bool:
        """Whether a fact holds the value that is puted for already, and the author may know that."""
        if not known.sensitive or known.readers != put.readers:
            return False
        if not reader.may_reveal(known.path, known.readers):
            return False
        try:
            return hmac.compare_digest(self._opened(stack, key, known), put.text.encode())
        except SealBroken:
            return False  # what cannot be read can be replaced

    def open(self, stack: Stack, seal: DataKey | None, fact: Fact) -> str:
        """The canonical JSON of a sensitive fact's value.

        :param seal: the stack's, if it has one.
        :raises SealBroken: it cannot be had.
        """
        if seal is None:
            raise _broken(fact.path, "its stack has no data key any more")
        return self._opened(stack, self.data_key(stack, seal), fact).decode()

    def _opened(self, stack: Stack, key: bytes, fact: Fact) -> bytes:
        if fact.sealed is None or not SEALED_PATTERN.fullmatch(fact.sealed):
            raise _broken(fact.path, "what is stored is not a sealed value")
        try:
            sealed = urlsafe_b64decode(fact.sealed.removeprefix(_VERSION))
            about = _of_fact(stack, fact.path, fact.readers)
            return self._keyring.decrypt(key, sealed, about)
        except (SealBroken, ValueError):
            problem = "what is stored was not sealed for this path of this stack, and these readers"
            raise _broken(fact.path, problem) from None

    def data_key(self, stack: Stack, seal: DataKey) -> bytes:
        """A stack's data key.

        :raises SealBroken: it cannot be had.
        """
        return self._keyring.unwrap(seal.wrapped, _of_stack(stack))

    def rewrap(self, stack: Stack, seal: DataKey) -> DataKey | None:
        """A stack's seal, wrapped with the newest key; None if it is already.

        :raises SealBroken: its data key cannot be had.
        """
        wrapped = self._keyring.rewrap(seal.wrapped, _of_stack(stack))
        return None if wrapped is None else DataKey(wrapped)

    def fingerprint(self, stack: Stack, seal: DataKey, fingerprint: str) -> str:
        """A request's fingerprint that tells nothing of it to who does not have the stack's data key.

        A plain hash would let who can read the store try out values.
        """
        key = hmac.digest(self.data_key(stack, seal), b"receipt", "sha256")
        return hmac.new(key, fingerprint.encode(), hashlib.sha256).hexdigest()


def _of_stack(stack: Stack) -> bytes:
    return _fields(stack.project_id, stack.id)


def _of_fact(stack: Stack, path: str, readers: Sequence[str]) -> bytes:
    return _fields(stack.project_id, stack.id, path, *readers)


def _fields(*texts: str) -> bytes:
    """Several texts as one that no others make."""
    parts = [text.encode() for text in texts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _broken(path: str, problem: str) -> SealBroken:
    return SealBroken(f"the value of {quoted(path)} cannot be opened: {problem}.")
