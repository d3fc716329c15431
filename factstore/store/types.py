"""etcd's words, without etcd's library: what the client is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

CHANNEL_OPTIONS = [
    # A silent member is noticed within 15 s; without ping_timeout_ms the default of a minute rules.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # One revision may be larger than gRPC's default of 4 MiB, and is never split.
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]
"""How gRPC's connections to etcd behave."""


class Compacted(Exception):
    """The history asked for is gone; *revision* is the oldest that is kept, 0 if etcd did not say."""

    def __init__(self, revision: int = 0) -> None:
        super().__init__(f"compacted up to revision {revision}")
        self.revision = revision


class LeaseGone(Exception):
    """A transaction named a lease that has ended; nothing was written."""


class KeyValue(NamedTuple):
    """A key as stored."""

    key: bytes
    value: bytes
    created: int
    revision: int
    version: int
    lease: int


class Found(NamedTuple):
    """The answer to a range: *revision* is the store's head at that moment."""

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
    """Remove a key, or with *end* a range."""

    key: bytes
    end: bytes = b""


class GetKey(NamedTuple):
    """Read a key; it makes a transaction that writes nothing linearizable."""

    key: bytes


Operation = PutKey | DeleteKeys | GetKey


class WatchEvent(NamedTuple):
    """A key was put, or deleted when *value* is None."""

    item: KeyValue
    deleted: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to prove who we are to etcd; paths are of PEM files."""

    username: str = ""
    password: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
