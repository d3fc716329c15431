"""Calls to an etcd cluster: the choice of an endpoint, deadlines, authentication and retries.

The client knows keys, compares and operations, but not facts.  Every call has a deadline.  A call that
cannot have reached an endpoint is sent to the next one.  A call that may have reached it is retried
only if it reads.  Create a client after a fork, because the threads of gRPC do not survive a fork.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc

from factstore.core.errors import OutcomeUnknown, Unavailable
from factstore.store.client import messages as rpc
from factstore.store.client.encoding import encode_transaction, encode_transactions
from factstore.store.client.endpoint import Endpoint
from factstore.store.client.errors import (
    describe,
    is_stale_token,
    raise_known_error,
    was_never_sent,
)
from factstore.store.client.lease_calls import LeaseCalls
from factstore.store.client.loop_client import LoopClient, is_patched
from factstore.store.client.protobuf import key_value
from factstore.store.client.watch_stream import GrpcWatch, WatchStream, watch_request
from factstore.store.types import (
    Compacted,
    Credentials,
    GetKey,
    RangeResult,
    Txn,
)

LOG = logging.getLogger(__name__)

AUTHENTICATE_SECONDS = 5.0


class EtcdClient(LeaseCalls):
    """Calls to one etcd cluster.

    :param endpoints: ``http://host:port`` or ``https://host:port``, in order of preference.
    :param observe: called with the name and the duration of every attempt.
    :param fast_calls: False to make all calls with gRPC.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        credentials: Credentials,
        observe: Callable[[str, float], None] = lambda call, seconds: None,
        *,
        fast_calls: bool = True,
    ) -> None:
        if is_patched():
            from grpc.experimental import gevent as grpc_gevent

            grpc_gevent.init_gevent()
        self.loop = LoopClient(
            lambda: endpoints[self._current],
            credentials,
            self._loop_token,
            observe,
            self._replace_watch,
            enabled=fast_calls and is_patched(),
        )
        """The calls that need no greenlet and no thread."""
        self._urls = list(endpoints)
        self._endpoints = [Endpoint(url, credentials) for url in endpoints]
        self._credentials = credentials
        self._observe = observe
        self._current = 0
        self._token = ""
        self._closed = False
        self._lock = threading.Lock()
        self._replaceable: WatchStream | None = None

    def get(
        self,
        key: bytes,
        end: bytes = b"",
        *,
        deadline: float,
        revision: int = 0,
        limit: int = 0,
        keys_only: bool = False,
    ) -> RangeResult:
        """Return a key or a range in the order of keys, with a linearizable read.

        :raises Compacted: etcd has compacted *revision*.
        """
        request = rpc.RangeRequest(
            key=key, range_end=end, revision=revision, limit=limit, keys_only=keys_only
        )
        answer = self._call("range", request, deadline, reads=True)
        items = [key_value(kv) for kv in answer.kvs]
        return RangeResult(items, answer.header.revision, answer.header.cluster_id)

    def transact(self, txn: Txn, deadline: float) -> tuple[bool, int]:
        """Apply all operations if all compares succeed; return whether they did, and the revision.

        :raises OutcomeUnknown: the operations may have been applied.
        :raises LeaseExpired: a put has a lease that has expired.
        """
        reads = all(isinstance(each, GetKey) for each in txn.operations)
        answer = self._call("txn", encode_transaction(txn), deadline, reads=reads)
        return answer.succeeded, answer.header.revision

    def transact_all(self, txns: Sequence[Txn], deadline: float) -> tuple[list[bool], int]:
        """Send several transactions as one; return which of them succeeded, and the revision.

        All compares see the store as it was before the first of them.

        :raises OutcomeUnknown: the transactions may have been applied.
        :raises LeaseExpired: a put has a lease that has expired; nothing was applied.
        """
        answer = self._call("txn", encode_transactions(txns), deadline, reads=False)
        succeeded = [bool(inner.response_txn.succeeded) for inner in answer.responses]
        return succeeded, int(answer.header.revision)

    def compact(self, revision: int, *, deadline: float) -> None:
        """Compact the history before a revision, unless it has been compacted already."""
        try:
            self._call("compact", rpc.CompactionRequest(revision=revision), deadline, reads=True)
        except Compacted:
            LOG.debug("revision %d has been compacted already", revision)

    def compacted_revision(self, existing: bytes) -> int:
        """Return the revision to which etcd is compacted; only a cancelled watch reports it.

        :param existing: a key that exists, without which the watch would wait.
        """
        stream = self._watch(existing, b"", 1)
        try:
            next(iter(stream))
        except Compacted as error:
            return error.revision
        finally:
            stream.close()
        return 0

    def versions(self, *, deadline: float) -> dict[str, str]:
        """Return the version of etcd at each endpoint, by URL; empty for one that does not answer."""
        metadata, found = self._authenticate(deadline), {}
        for url, endpoint in zip(self._urls, self._endpoints, strict=True):
            try:
                left = max(0.1, deadline - time.monotonic()) / len(self._urls)
                answer = endpoint.calls["status"](
                    rpc.StatusRequest(), timeout=left, metadata=metadata
                )
                found[url] = str(answer.version)
            except grpc.RpcError:
                found[url] = ""
        return found

    def watch(self, key: bytes, end: bytes, start: int) -> WatchStream:
        """Open a watch that starts at a revision, on the preferred endpoint.

        :raises Unavailable: etcd refuses the credentials or cannot be reached, or the client is closed.
        """
        watch = self._watch(key, end, start)
        self._replaceable = watch if isinstance(watch, GrpcWatch) else None
        return watch

    def _watch(self, key: bytes, end: bytes, start: int) -> WatchStream:
        with self._open():
            token = self._authenticate(time.monotonic() + AUTHENTICATE_SECONDS)
            watch = self.loop.watch(key, end, start, self._forget_token)
            if watch is not None:
                return watch
            stub, request = self._endpoints[self._current].watch, watch_request(key, end, start)
            return GrpcWatch(stub, request, token, self._forget_token)

    def _replace_watch(self) -> None:
        """Close a watch of gRPC, because its owner can open a cheaper one."""
        watch, self._replaceable = self._replaceable, None
        if watch is not None:
            watch.close()

    def prefer_next(self) -> None:
        """Prefer another endpoint, because the current one may return old data."""
        self._abandon(self._current)

    def close(self) -> None:
        """Close all channels; running and later calls raise Unavailable."""
        self._closed = True
        self.loop.close()
        for endpoint in self._endpoints:
            endpoint.channel.close()

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Raise Unavailable if the client is closed, in place of the ValueError of gRPC."""
        try:
            yield
        except ValueError as error:
            if not self._closed:
                raise
            raise Unavailable("the store cannot be reached: its client is closed.") from error

    def _call(self, call: str, request: Any, deadline: float, *, reads: bool) -> Any:
        with self._open():
            return self._send(call, request, deadline, reads)

    def _send(self, call: str, request: Any, deadline: float, reads: bool) -> Any:
        tries = len(self._endpoints)
        reauthenticated = False
        while True:
            # The token is valid in the whole cluster. A member that cannot issue one is abandoned.
            metadata = self._authenticate(deadline) if call != "authenticate" else ()
            tried = self._current
            endpoint = self._endpoints[tried]
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unavailable("etcd did not answer in time.")
            share = left / tries if reads else left
            began = time.perf_counter()
            try:
                return endpoint.calls[call](request, timeout=share, metadata=metadata)
            except grpc.RpcError as error:
                if not reauthenticated and is_stale_token(error):
                    self._forget_token()
                    reauthenticated = True
                    continue
                raise_known_error(error)
                self._abandon(tried)
                if not reads and not was_never_sent(error):
                    raise OutcomeUnknown(
                        "the store did not confirm the write in time, and may have made it. Read to "
                        "find out, or send the same request again with an Idempotency-Key."
                    ) from error
                tries -= 1
                if tries <= 0:
                    LOG.info("no etcd endpoint answers: %s", describe(error))
                    raise Unavailable("the store cannot be reached.") from error
            finally:
                self._observe(call, time.perf_counter() - began)

    def _abandon(self, tried: int) -> None:
        with self._lock:
            if self._current == tried:
                self._current = (tried + 1) % len(self._endpoints)

    def _authenticate(self, deadline: float) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call, with a token if there is a user; request one if necessary."""
        if not self._credentials.username:
            return ()
        if not (token := self._token):
            request = rpc.AuthenticateRequest(
                name=self._credentials.username, password=self._credentials.password
            )
            token = self._send("authenticate", request, deadline, reads=True).token
            self._token = token
        return (("token", token),)

    def _loop_token(self) -> str | None:
        """Return the token of the user; empty without a user, None if none was issued yet."""
        return (self._token or None) if self._credentials.username else ""

    def _forget_token(self) -> None:
        self._token = ""
