"""The types of the etcd client, without etcd's library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from factstore.core.model.fact import Fact
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


KeyFields = tuple[bytes, bytes, int, int, int, int]
"""The fields of a :class:`KeyValue` in their order; a KeyValue is one."""


class RangeResult(NamedTuple):
    """The result of a range request; *revision* is the newest one of the store at that moment."""

    items: Sequence[KeyValue]
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

    :param project_id: the project for which they are made; empty for the service itself.
    """

    compares: Sequence[Compare]
    operations: Sequence[Operation]
    project_id: str = ""

    @property
    def size(self) -> int:
        """Return the share of etcd's limit on compares and operations that the transaction needs."""
        return max(len(self.compares), len(self.operations))

    @property
    def only_deletes(self) -> bool:
        """Return True if the transaction deletes keys and stores none."""
        return bool(self.operations) and self.first_put is None

    @property
    def deletes_range(self) -> bool:
        """Return True if the transaction deletes all keys of a range."""
        return any(type(o) is DeleteKeys and o.end for o in self.operations)

    @property
    def first_put(self) -> bytes | None:
        """Return the first key that it stores, or None if it stores none."""
        return next((o.key for o in self.operations if type(o) is PutKey), None)

    @property
    def written(self) -> Sequence[bytes]:
        """Return the keys that it stores or deletes, apart from ranges."""
        return [o.key for o in self.operations]

    @property
    def compared(self) -> Sequence[bytes]:
        """Return the keys that it compares."""
        return [c.key for c in self.compares if not c.end]

    @property
    def compared_ranges(self) -> Sequence[tuple[bytes, bytes]]:
        """Return the ranges of keys that it compares."""
        return [(c.key, c.end) for c in self.compares if c.end]

    @property
    def bytes(self) -> int:
        """Return the approximate size of the request in bytes."""
        keys = sum(len(compare.key) + len(compare.end) + 24 for compare in self.compares)
        puts = (len(o.key) + len(o.value) for o in self.operations if isinstance(o, PutKey))
        return keys + sum(puts) + MESSAGE_BYTES


@quick_dataclass(frozen=True, slots=True, eq=False)
class FactTxn:
    """A :class:`Txn` that only stores facts, as the parts of its message.

    :param compares: the parts of the message that state one compare each.
    :param puts: the part that states all puts.
    :param written: the keys that it stores.
    :param compared: the keys that it compares.
    :param facts: what etcd will report of it, if that is known.
    """

    compares: Sequence[bytes]
    puts: bytes
    written: Sequence[bytes]
    compared: Sequence[bytes] = ()
    compared_ranges: Sequence[tuple[bytes, bytes]] = ()
    project_id: str = ""
    facts: SentFacts | None = None
    only_deletes: ClassVar[bool] = False
    deletes_range: ClassVar[bool] = False

    @property
    def size(self) -> int:
        """Return the share of etcd's limit on compares and operations that the transaction needs."""
        return max(len(self.compares), len(self.written))

    @property
    def first_put(self) -> bytes:
        """Return the first key that it stores."""
        return self.written[0]

    @property
    def bytes(self) -> int:
        """Return the approximate size of the request in bytes."""
        return sum(map(len, self.compares)) + len(self.puts) + MESSAGE_BYTES


class SentFacts(NamedTuple):
    """The facts that a transaction stores in a stack, with the first and the last value."""

    stack_id: str
    facts: Sequence[Fact]
    first: bytes
    last: bytes


AnyTxn = Txn | FactTxn


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
