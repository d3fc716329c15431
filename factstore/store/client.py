"""The one file that talks to etcd: endpoints, deadlines, credentials, errors.

It speaks of keys, compares and operations, and knows nothing of facts.  Every call has a deadline.  A
call that cannot have reached a member is tried on the next; one that may have is tried again only if
it reads.  Make a client after forking: gRPC's threads do not survive a fork.

It is longer than 300 lines because only this file may know gRPC and etcd's messages.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import etcd3.etcdrpc as rpc
import grpc

from factstore.core.errors import OutcomeUnknown, StorageFull, TooLarge, Unavailable
from factstore.store.wire import (
    CHANNEL_OPTIONS,
    Compacted,
    Compare,
    Credentials,
    DeleteKeys,
    Found,
    GetKey,
    KeyValue,
    LeaseGone,
    Operation,
    PutKey,
    WatchEvent,
)

LOG = logging.getLogger(__name__)

AUTHENTICATE_SECONDS = 5.0

_TARGETS = {"create": rpc.Compare.CREATE, "mod": rpc.Compare.MOD, "value": rpc.Compare.VALUE}
_OPERANDS = {"create": "create_revision", "mod": "mod_revision", "value": "value"}
_RESULTS = {"==": rpc.Compare.EQUAL, "<": rpc.Compare.LESS}


class _Member:
    """One endpoint: a channel and its stubs."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        scheme, _, target = endpoint.partition("://")
        if scheme == "https":
            pem = [
                Path(name).read_bytes() if name else None
                for name in (credentials.ca_file, credentials.key_file, credentials.cert_file)
            ]
            self.channel = grpc.secure_channel(
                target, grpc.ssl_channel_credentials(*pem), options=CHANNEL_OPTIONS
            )
        else:
            self.channel = grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
        kv, lease = rpc.KVStub(self.channel), rpc.LeaseStub(self.channel)
        self.calls: dict[str, Callable[..., Any]] = {
            "range": kv.Range,
            "txn": kv.Txn,
            "compact": kv.Compact,
            "lease_grant": lease.LeaseGrant,
            "lease_keep_alive": _once(lease.LeaseKeepAlive),
            "lease_revoke": lease.LeaseRevoke,
        }
        self.watch = rpc.WatchStub(self.channel)
        self.auth = rpc.AuthStub(self.channel)


class EtcdClient:
    """Calls to one etcd cluster.

    :param endpoints: ``http://host:port`` or ``https://host:port``, in order of preference.
    :param observe: is told of every try of a call, failed or not, and of how long it took.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        credentials: Credentials,
        observe: Callable[[str, float], None] = lambda call, seconds: None,
    ) -> None:
        monkey = sys.modules.get("gevent.monkey")
        if monkey is not None and monkey.is_module_patched("socket"):
            from grpc.experimental import gevent as grpc_gevent

            grpc_gevent.init_gevent()
        self._members = [_Member(endpoint, credentials) for endpoint in endpoints]
        self._credentials = credentials
        self._observe = observe
        self._current = 0
        self._token = ""
        self._lock = threading.Lock()

    def get(
        self,
        key: bytes,
        end: bytes = b"",
        *,
        deadline: float,
        revision: int = 0,
        limit: int = 0,
        keys_only: bool = False,
    ) -> Found:
        """Read a key or a range, linearizably, in order of keys.

        :raises Compacted: *revision* is no longer kept.
        """
        request = rpc.RangeRequest(
            key=key, range_end=end, revision=revision, limit=limit, keys_only=keys_only
        )
        answer = self._call("range", request, deadline, reads=True)
        items = [_item(kv) for kv in answer.kvs]
        return Found(items, answer.header.revision, answer.header.cluster_id)

    def transact(
        self,
        compares: Sequence[Compare],
        operations: Sequence[Operation],
        *,
        deadline: float,
    ) -> tuple[bool, int]:
        """Do all operations if all compares hold; whether they did, and the revision.

        :raises OutcomeUnknown: it may have been done.
        :raises LeaseGone: a put names a lease that has ended.
        """
        request = _transaction(compares, operations)
        reads = all(isinstance(operation, GetKey) for operation in operations)
        answer = self._call("txn", request, deadline, reads=reads)
        return answer.succeeded, answer.header.revision

    def transact_all(
        self,
        members: Sequence[tuple[Sequence[Compare], Sequence[Operation]]],
        *,
        deadline: float,
    ) -> tuple[list[bool], int]:
        """Do several transactions as one; which of them were done, and the revision of all.

        The compares of all see the store as it is before any of them.

        :raises OutcomeUnknown: they may have been done.
        :raises LeaseGone: a put names a lease that has ended; nothing was done.
        """
        request = rpc.TxnRequest(
            success=[
                rpc.RequestOp(request_txn=_transaction(compares, operations))
                for compares, operations in members
            ]
        )
        answer = self._call("txn", request, deadline, reads=False)
        done = [bool(inner.response_txn.succeeded) for inner in answer.responses]
        return done, int(answer.header.revision)

    def compact(self, revision: int, *, deadline: float) -> None:
        """Give up the history before a revision; that it is gone already is no error."""
        request = rpc.CompactionRequest(revision=revision)
        try:
            self._call("compact", request, deadline, reads=True)
        except Compacted:
            LOG.debug("revision %d was compacted already", revision)

    def grant(self, ttl: int, *, deadline: float) -> int:
        """A new lease; trying again costs at worst a lease that ends unused."""
        request = rpc.LeaseGrantRequest(TTL=ttl)
        answer = self._call("lease_grant", request, deadline, reads=True)
        return int(answer.ID)

    def renew(self, lease: int, *, deadline: float) -> bool:
        """One keep-alive; False when the lease has ended."""
        request = rpc.LeaseKeepAliveRequest(ID=lease)
        answer = self._call("lease_keep_alive", request, deadline, reads=True)
        return int(answer.TTL) > 0

    def revoke(self, lease: int, *, deadline: float) -> None:
        """End a lease; that it has ended is no error."""
        request = rpc.LeaseRevokeRequest(ID=lease)
        try:
            self._call("lease_revoke", request, deadline, reads=True)
        except LeaseGone:
            LOG.debug("lease %x had ended already", lease)

    def watch(self, key: bytes, end: bytes, start: int) -> WatchStream:
        """Open a watch from a revision on, on the member preferred at present.

        :raises Unavailable: etcd refuses our credentials, or cannot be asked about them.
        """
        member = self._members[self._current]
        metadata = self._authenticate(member, AUTHENTICATE_SECONDS)
        return WatchStream(member.watch, key, end, start, metadata, self._forget_token)

    def prefer_next(self) -> None:
        """Turn to another member, when the present one cannot be trusted to be current."""
        self._abandon(self._current)

    def close(self) -> None:
        """Close all channels; running calls fail."""
        for member in self._members:
            member.channel.close()

    def _call(self, call: str, request: Any, deadline: float, *, reads: bool) -> Any:
        tries = len(self._members)
        renewed = False
        while True:
            tried = self._current
            member = self._members[tried]
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unavailable("etcd did not answer in time.")
            share = left / tries if reads else left
            metadata = self._authenticate(member, share)
            began = time.perf_counter()
            try:
                return member.calls[call](request, timeout=share, metadata=metadata)
            except grpc.RpcError as error:
                if not renewed and _is_stale_token(error):
                    self._forget_token()
                    renewed = True
                    continue
                self._translate(error, reads)
                self._abandon(tried)
                tries -= 1
                if tries <= 0:
                    LOG.info("no etcd member answers: %s", _words(error))
                    raise Unavailable("the store cannot be reached.") from error
            finally:
                self._observe(call, time.perf_counter() - began)

    def _translate(self, error: Any, reads: bool) -> None:
        """Raise what a failed call means; return if another member should be asked."""
        code, words = error.code(), error.details() or ""
        if code == grpc.StatusCode.OUT_OF_RANGE and "compacted" in words:
            raise Compacted from error
        if code == grpc.StatusCode.NOT_FOUND and "lease" in words:
            raise LeaseGone from error
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED and "space" in words:
            raise StorageFull("the store is full; an operator must make room.")
        if code == grpc.StatusCode.INVALID_ARGUMENT and "too large" in words:
            raise TooLarge("the write is larger than etcd accepts.", code="batch_too_large")
        refused = code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
        # "failed", "is not enabled"; and an etcd with users says this to one who gives no name.
        if refused or "authentication" in words or "user name is empty" in words:
            LOG.error("etcd refuses our credentials: %s", words)
            raise Unavailable("etcd refuses the service's credentials.") from error
        if code not in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.INTERNAL,
        ):
            raise error
        if not reads and not _never_sent(code, words):
            self._abandon(self._current)
            raise OutcomeUnknown(
                "the store did not say in time whether it wrote. Read to find out, "
                "or send the same request again with an Idempotency-Key."
            ) from error

    def _abandon(self, tried: int) -> None:
        with self._lock:
            if self._current == tried:
                self._current = (tried + 1) % len(self._members)

    def _authenticate(self, member: _Member, timeout: float) -> tuple[tuple[str, str], ...]:
        """The metadata that proves who we are, with a token that is asked for when there is none."""
        if not self._credentials.username:
            return ()
        if not self._token:
            request = rpc.AuthenticateRequest(
                name=self._credentials.username, password=self._credentials.password
            )
            try:
                self._token = member.auth.Authenticate(request, timeout=timeout).token
            except grpc.RpcError as error:
                self._translate(error, reads=True)
                self.prefer_next()
                LOG.info("no token from etcd: %s", _words(error))
                raise Unavailable("the store cannot be reached.") from error
        return (("token", self._token),)

    def _forget_token(self) -> None:
        self._token = ""


class WatchStream:
    """One watch: an iterator over responses, each a list of events of whole revisions."""

    def __init__(
        self,
        stub: Any,
        key: bytes,
        end: bytes,
        start: int,
        metadata: Sequence[tuple[str, str]],
        forget_token: Callable[[], None],
    ) -> None:
        self._forget_token = forget_token
        self._requests: SimpleQueue[Any] = SimpleQueue()
        create = rpc.WatchCreateRequest(key=key, range_end=end, start_revision=start)
        self._requests.put(rpc.WatchRequest(create_request=create))
        self._answers = stub.Watch(iter(self._requests.get, None), metadata=metadata)

    def __iter__(self) -> Iterator[list[WatchEvent]]:
        """Yield until the stream ends.

        :raises Compacted: the start is no longer kept.
        :raises Unavailable: the stream broke or was closed; watch again.
        """
        try:
            for answer in self._answers:
                if answer.compact_revision:
                    raise Compacted(answer.compact_revision)
                if answer.canceled:
                    self._forget_token()  # 3.4 does not say so when this is why
                    raise Unavailable(f"etcd cancelled the watch: {answer.cancel_reason}")
                if answer.events:
                    yield [_event(event) for event in answer.events]
        except grpc.RpcError as error:
            if _is_stale_token(error):
                self._forget_token()
            raise Unavailable(f"the watch broke: {_words(error)}") from error
        finally:
            self.close()
        raise Unavailable("etcd closed the watch")

    def close(self) -> None:
        """End the stream; an iteration elsewhere raises Unavailable."""
        self._requests.put(None)
        self._answers.cancel()


def _item(kv: Any) -> KeyValue:
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def _event(event: Any) -> WatchEvent:
    return WatchEvent(_item(event.kv), event.type == 1)


def _transaction(compares: Sequence[Compare], operations: Sequence[Operation]) -> Any:
    return rpc.TxnRequest(
        compare=[_compare(compare) for compare in compares],
        success=[_operation(operation) for operation in operations],
    )


def _compare(compare: Compare) -> Any:
    return rpc.Compare(
        key=compare.key,
        range_end=compare.end,
        target=_TARGETS[compare.target],
        result=_RESULTS[compare.result],
        **{_OPERANDS[compare.target]: compare.operand},
    )


def _operation(operation: Operation) -> Any:
    match operation:
        case PutKey(key, value, lease):
            return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value, lease=lease))
        case DeleteKeys(key, end):
            request = rpc.DeleteRangeRequest(key=key, range_end=end)
            return rpc.RequestOp(request_delete_range=request)
        case GetKey(key):
            return rpc.RequestOp(request_range=rpc.RangeRequest(key=key))


def _once(keep_alive: Any) -> Callable[..., Any]:
    """A streaming keep-alive as a call with one answer."""

    def call(request: Any, timeout: float, metadata: Any) -> Any:
        answers = keep_alive(iter([request]), timeout=timeout, metadata=metadata)
        try:
            return next(answers)
        finally:
            answers.cancel()

    return call


def _never_sent(code: Any, words: str) -> bool:
    return code == grpc.StatusCode.UNAVAILABLE and "failed to connect" in words


def _is_stale_token(error: Any) -> bool:
    return "invalid auth token" in (error.details() or "")


def _words(error: Any) -> str:
    return f"{error.code().name.lower()}: {error.details()}"
