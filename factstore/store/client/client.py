"""Calls to an etcd cluster: the choice of an endpoint, deadlines, authentication and retries.

The client knows keys, compares and operations, but not facts.  Every call has a deadline.  A call that
cannot have reached an endpoint is sent to the next one.  A call that may have reached it is retried
only if it reads.  Create a client after a fork, because the threads of gRPC do not survive a fork.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from factstore.store.client import messages as rpc
from factstore.store.client.attempts import found_revision, read_attempt
from factstore.store.client.encoding import encode_attempt, encode_raising, encode_transaction
from factstore.store.client.lease_calls import LeaseCalls
from factstore.store.client.loop_client import LoopClient, is_patched
from factstore.store.client.protobuf import KeyPage, key_value
from factstore.store.client.watch_stream import GrpcWatch, WatchStream, watch_request
from factstore.store.types import (
    AnyTxn,
    Compacted,
    Credentials,
    Fence,
    RangeResult,
    Txn,
)

LOG = logging.getLogger(__name__)

AUTHENTICATE_SECONDS = 5.0
COMPACTED_SECONDS = 2.0  # for an answer that etcd has after a tenth of a second
CALL_THREADS = 100
"""Of the pool in which gRPC waits under gevent: one for each call and watch.  Its limit is ten, and
with eleven lost calls, no response arrives before one of them is given up."""


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
            _make_room_for_calls()
        super().__init__(endpoints, credentials, observe)
        self.loop = LoopClient(
            lambda: endpoints[self._current],
            credentials,
            self._loop_token,
            observe,
            self._replace_watch,
            enabled=fast_calls and is_patched(),
            silent=self._note_silence,
            gone=lambda url: self._abandon(endpoints.index(url)),
            patience=self._patience,
        )
        """The calls that need no greenlet and no thread."""
        self._replaceable: WatchStream | None = None
        self._watches: dict[WatchStream, int] = {}  # the endpoint of each

    def get(
        self,
        key: bytes,
        end: bytes = b"",
        *,
        deadline: float,
        revision: int = 0,
        limit: int = 0,
        keys_only: bool = False,
        hedged: bool = False,
    ) -> RangeResult:
        """Return a key or a range in the order of keys, with a linearizable read.

        :param hedged: True if many wait for the result: after a loss, tries overlap.
        :raises Compacted: etcd has compacted *revision*.
        """
        request = rpc.RangeRequest(
            key=key, range_end=end, revision=revision, limit=limit, keys_only=keys_only
        )
        answer = self._call("range", request, deadline, reads=True, short=not end, hedged=hedged)
        items = [key_value(kv) for kv in answer.kvs]
        return RangeResult(items, answer.header.revision, answer.header.cluster_id)

    def page(
        self, key: bytes, end: bytes, *, deadline: float, revision: int, limit: int
    ) -> KeyPage:
        """Return the first keys of a range at a revision, for a reader of very many.

        :raises Compacted: etcd has compacted *revision*.
        """
        request = rpc.RangeRequest(key=key, range_end=end, revision=revision, limit=limit)
        return KeyPage(self._call("range", request, deadline, reads=True).kvs)

    def transact(self, txn: Txn, deadline: float, *, repeatable: bool = False) -> tuple[bool, int]:
        """Apply all operations if all compares succeed; return whether they did, and the revision.

        :param repeatable: True if it does no harm to apply the operations several times.
        :raises OutcomeUnknown: the operations may have been applied.
        :raises LeaseExpired: a put has a lease that has expired.
        """
        message = encode_transaction(txn)
        answer = self._call("txn", message, deadline, reads=repeatable, short=repeatable)
        return answer.succeeded, answer.header.revision

    def transact_all(
        self, txns: Sequence[AnyTxn], deadline: float, fence: Fence
    ) -> tuple[list[bool], int]:
        """Send transactions as one attempt; return which of them succeeded, and the revision.

        All compares see the store as it was before the first of them.

        :raises Fenced: the fence was raised; nothing was applied, and nothing will be.
        :raises OutcomeUnknown: the transactions may have been applied or, until the fence is raised,
            may be applied later.
        :raises LeaseExpired: a put has a lease that has expired; nothing was applied.
        """
        request = encode_attempt(txns, fence)
        answer = self._call("txn", request, deadline, reads=False, short=True)
        return read_attempt(answer, len(txns), fence)

    def raise_fence(self, fence: Fence, deadline: float) -> int:
        """Raise a fence, unless it has another revision already; return its revision.

        The call may be repeated, because only the first one to be applied raises the fence.
        """
        request = encode_raising(fence)
        answer = self._call("txn", request, deadline, reads=True, short=True, hedged=True)
        return int(answer.header.revision) if answer.succeeded else found_revision(answer)

    def compact(self, revision: int, *, deadline: float) -> None:
        """Compact the history before a revision, unless it has been compacted already."""
        try:
            self._call("compact", rpc.CompactionRequest(revision=revision), deadline, reads=True)
        except Compacted:
            LOG.debug("revision %d has been compacted already", revision)

    def is_compacted(self, key: bytes, revision: int, deadline: float) -> bool:
        """Return True if etcd has compacted a revision, so that it cannot be read any more.

        :param key: any key, which need not exist.
        :param revision: at least 1, and no newer than the newest one.
        """
        try:
            self.get(key, revision=revision, keys_only=True, deadline=deadline)
        except Compacted:
            return True
        return False

    def compacted_revision(self, existing: bytes) -> int:
        """Return the revision to which etcd is compacted; only a cancelled watch reports it.

        If etcd is not compacted, it reads its whole history for this watch; see :meth:`is_compacted`.

        :param existing: a key that exists, without which the watch would wait.
        :raises Unavailable: etcd has not answered within :data:`COMPACTED_SECONDS`.
        """
        stream = self._watch(existing, b"", 1)
        late = threading.Timer(COMPACTED_SECONDS, self._give_up, (stream,))
        late.daemon = True
        late.start()
        try:
            next(iter(stream))
        except Compacted as error:
            return error.revision
        finally:
            late.cancel()
            stream.close()
        return 0

    def _give_up(self, stream: WatchStream) -> None:
        """Close a watch that is silent, and prefer another member of etcd."""
        self.prefer_next()
        stream.close()

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
            watch: WatchStream | None = self.loop.watch(key, end, start, self._forget_token)
            if watch is not None:
                return watch
            tried = self._current
            stub, request = self._endpoints[tried].watch, watch_request(key, end, start)
            watch = GrpcWatch(stub, request, token, self._forget_token)
            self._watches = {each: at for each, at in self._watches.items() if not each.closed}
            self._watches[watch] = tried
            if tried != self._current:
                watch.close()  # the endpoint was abandoned before it was recorded here
            return watch

    def _replace_watch(self) -> None:
        """Close a watch of gRPC, because its owner can open a cheaper one."""
        watch, self._replaceable = self._replaceable, None
        if watch is not None:
            watch.close()

    def prefer_next(self) -> None:
        """Prefer another endpoint, because the current one may return old data."""
        self._abandon(self._current)

    def _end_watches(self, endpoint: int) -> None:
        # A watch on a member that does not answer is silent, too, and nobody would notice that.
        for watch, at in list(self._watches.items()):
            if at == endpoint:
                watch.close()

    def close(self) -> None:
        """Close all channels; running and later calls raise Unavailable."""
        self._closed = True
        self.loop.close()
        for endpoint in self._endpoints:
            endpoint.channel.close()


def _make_room_for_calls() -> None:
    import gevent

    pool = gevent.get_hub().threadpool
    pool.maxsize = max(pool.maxsize, CALL_THREADS)
