"""The types of the etcd client, without etcd's library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import NamedTuple

from factstore.core.model.quick_dataclass import quick_dataclass

CHANNEL_OPTIONS = [
    # A silent endpoint is noticed within 15 s; without ping_timeout_ms it would take a minute.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # One revision may be larger than the 4 MiB that gRPC allows by default, and is never split.
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]
"""The options of gRPC channels to etcd."""


class Compacted(Exception):
    """The history was compacted; *revision* is the oldest that is left, 0 if etcd did not report it."""

    def __init__(self, revision: int = 0) -> None:
        super().__init__(f"compacted up to revision {revision}")
        self.revision = revision


class LeaseExpired(Exception):
    """A transaction has a lease that has expired; nothing was written."""


class LeaseExists(Exception):
    """A lease with the chosen id exists already."""


class Fenced(Exception):
    """An attempt arrived after its fence had been raised; nothing was written.

    :ivar revision: the revision to which the fence was raised.
    """

    def __init__(self, revision: int) -> None:
        super().__init__(f"the fence was raised at revision {revision}")
        self.revision = revision


class Fence(NamedTuple):
    """A key, and its revision while an attempt can be applied; 0 if the key does not exist."""

    key: bytes
    revision: int


class KeyValue(NamedTuple):
    """A stored key."""

    key: bytes
    value: bytes
    created: int
    revision: int
    version: int
    lease: int


class RangeResult(NamedTuple):
    """The result of a range request; *revision* is the newest one of the store at that moment."""

    items: list[KeyValue]
    revision: int
    cluster_id: int


class Compare(NamedTuple):
    """A condition on a key, or with *end* on every key of a range."""

    key: bytes
    target: str
    result: str
    operand: int | bytes
    end: bytes = b""


class PutKey(NamedTuple):
    """Write a key."""

    key: bytes
    value: bytes
    lease: int = 0


class DeleteKeys(NamedTuple):
    """Delete a key, or with *end* a range."""

    key: bytes
    end: bytes = b""


Operation = PutKey | DeleteKeys


MESSAGE_BYTES = 64
"""About the bytes of a transaction in a batch, besides its compares and operations."""


@quick_dataclass(frozen=True, slots=True)
class Txn:
    """Operations that are applied if all compares succeed.

    :param encoded_compares: the parts of the message that state one compare each, if they are known.
    :param encoded_operations: the part that states the operations; empty if it is not known.
    :param project_id: the project for which they are made; empty for the service itself.
    """

    compares: Sequence[Compare]
    operations: Sequence[Operation]
    encoded_compares: tuple[bytes, ...] = field(default=(), compare=False, repr=False)
    encoded_operations: bytes = field(default=b"", compare=False, repr=False)
    project_id: str = ""

    @property
    def size(self) -> int:
        """Return the share of etcd's limit on compares and operations that the transaction needs."""
        return max(len(self.compares), len(self.operations))

    @property
    def only_deletes(self) -> bool:
        """Return True if the transaction deletes keys and stores none."""
        deletes = False
        for operation in self.operations:
            if type(operation) is PutKey:
                return False
            deletes = deletes or type(operation) is DeleteKeys
        return deletes

    @property
    def bytes(self) -> int:
        """Return the approximate size of the request in bytes."""
        if self.encoded_operations:
            compares = sum(map(len, self.encoded_compares))
            return compares + len(self.encoded_operations) + MESSAGE_BYTES
        keys = sum(len(compare.key) + len(compare.end) + 24 for compare in self.compares)
        puts = (len(o.key) + len(o.value) for o in self.operations if isinstance(o, PutKey))
        return keys + sum(puts) + MESSAGE_BYTES


class WatchEvent(NamedTuple):
    """A put or a deletion of a key."""

    item: KeyValue
    deleted: bool


@quick_dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of the service in etcd; the files are PEM files."""

    username: str = ""
    password: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
