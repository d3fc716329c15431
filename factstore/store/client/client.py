"""Calls to a cluster: which member is asked, until when, with which token, and how often.

It speaks of keys, compares and operations, and knows nothing of facts.  Every call has a deadline.  A
call that cannot have reached a member is tried on the next; one that may have is tried again only if
it reads.  Make a client after forking: gRPC's threads do not survive a fork.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import etcd3.etcdrpc as rpc
import grpc

from factstore.core.errors import OutcomeUnknown, Unavailable
from factstore.store.client.endpoint import Member
from factstore.store.client.errors import is_stale_token, raise_refusal, was_never_sent, words
from factstore.store.client.protobuf import item, several, transaction
from factstore.store.client.watch_stream import WatchStream
from factstore.store.types import (
    Compacted,
    Compare,
    Credentials,
    Found,
    GetKey,
    LeaseGone,
    Operation,
)

LOG = logging.getLogger(__name__)

AUTHENTICATE_SECONDS = 5.0


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
        self._members = [Member(endpoint, credentials) for endpoint in endpoints]
        self._credentials = credentials
        self._observe = observe
        self._current = 0
        self._token = ""
        self._closed = False
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
        items = [item(kv) for kv in answer.kvs]
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
        request = transaction(compares, operations)
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
        answer = self._call("txn", several(members), deadline, reads=False)
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

        :raises Unavailable: etcd refuses our credentials, or cannot be asked about them; or the
            client is closed.
        """
        with self._open():
            member = self._members[self._current]
            metadata = self._authenticate(member, AUTHENTICATE_SECONDS)
            return WatchStream(member.watch, key, end, start, metadata, self._forget_token)

    def prefer_next(self) -> None:
        """Turn to another member, when the present one cannot be trusted to be current."""
        self._abandon(self._current)

    def close(self) -> None:
        """Close all channels; running calls fail, and so do later ones."""
        self._closed = True
        for member in self._members:
            member.channel.close()

    @contextmanager
    def _open(self) -> Iterator[None]:
        """A closed client is a store out of reach, whatever gRPC says to one who asks it."""
        try:
            yield
        except ValueError as error:
            if not self._closed:
                raise
            raise Unavailable("the store cannot be reached: its client is closed.") from error

    def _call(self, call: str, request: Any, deadline: float, *, reads: bool) -> Any:
        with self._open():
            return self._ask(call, request, deadline, reads)

    def _ask(self, call: str, request: Any, deadline: float, reads: bool) -> Any:
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
                if not renewed and is_stale_token(error):
                    self._forget_token()
                    renewed = True
                    continue
                raise_refusal(error)
                self._abandon(tried)
                if not reads and not was_never_sent(error):
                    raise OutcomeUnknown(
                        "the store did not say in time whether it wrote. Read to find out, "
                        "or send the same request again with an Idempotency-Key."
                    ) from error
                tries -= 1
                if tries <= 0:
                    LOG.info("no etcd member answers: %s", words(error))
                    raise Unavailable("the store cannot be reached.") from error
            finally:
                self._observe(call, time.perf_counter() - began)

    def _abandon(self, tried: int) -> None:
        with self._lock:
            if self._current == tried:
                self._current = (tried + 1) % len(self._members)

    def _authenticate(self, member: Member, timeout: float) -> tuple[tuple[str, str], ...]:
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
                raise_refusal(error)
                self.prefer_next()
                LOG.info("no token from etcd: %s", words(error))
                raise Unavailable("the store cannot be reached.") from error
        return (("token", self._token),)

    def _forget_token(self) -> None:
        self._token = ""
