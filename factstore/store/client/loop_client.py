"""Reads and renewals that are started from gevent's loop, and end there."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from factstore.store.client import messages as rpc
from factstore.store.client.attempts import read_attempt
from factstore.store.client.encoding import TXN, encode_attempt
from factstore.store.client.http2_calls import Ended, Failure, Received
from factstore.store.client.leases import KEEP_ALIVE, RENEWALS, renewal, renewed
from factstore.store.client.patience import READ_SECONDS, WRITE_SECONDS, Patience
from factstore.store.client.protobuf import key_value
from factstore.store.client.watch_stream import NEEDS_LEADER, WATCH, watch_request
from factstore.store.types import AnyTxn, Credentials, Fence, Fenced, RangeResult

if TYPE_CHECKING:
    from factstore.store.client.loop_calls import LoopCalls
    from factstore.store.client.loop_stream import LoopWatch, OpenStream

LOG = logging.getLogger(__name__)

RANGE = "/etcdserverpb.KV/Range"

_Renewals = list[tuple[int, Callable[[bool | None], object]]]
"""Leases to renew, and what is called with the result."""


def is_patched() -> bool:
    """Return True if gevent has replaced the standard library's sockets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("socket")


class LoopClient:
    """The calls of :class:`LoopCalls`.

    :param observe: called with the name and the duration of every call.
    :param connected: called when a connection was opened, on which a watch can be opened.
    :param enabled: False if no call can be started, because there is no loop or gRPC makes all calls.
    :param silent: called with the URL of an endpoint that has not answered in time.
    :param gone: called with the URL of an endpoint that has closed its connection.
    """

    def __init__(
        self,
        endpoint: Callable[[], str],
        credentials: Credentials,
        token: Callable[[], str | None],
        observe: Callable[[str, float], None],
        connected: Callable[[], object],
        *,
        enabled: bool,
        silent: Callable[[str], object] = lambda url: None,
        gone: Callable[[str], object] = lambda url: None,
        patience: Patience | None = None,
    ) -> None:
        self._observe = observe
        self._connected = connected
        self._patience = patience or Patience(1)
        self._calls: LoopCalls | None = None
        self._last_was_useless = False
        self._renewals: _Renewals = []
        if enabled:
            from factstore.store.client.loop_calls import LoopCalls

            self._calls = LoopCalls(
                endpoint, credentials, token, self._notify_connected, silent, gone
            )

    @property
    def available(self) -> bool:
        """True if calls can be started, apart from disturbances."""
        return self._calls is not None

    def get(self, key: bytes, ended: Callable[[RangeResult | None], object]) -> bool:
        """Start to read a key with a linearizable read; return False if that is not possible.

        :param ended: called in the hub with the result; with None if there is no response.
        """

        def read(messages: list[bytes] | Failure) -> None:
            if isinstance(messages, Failure):
                ended(None)
                return
            answer = rpc.RangeResponse.FromString(messages[0])
            items = [key_value(kv) for kv in answer.kvs]
            ended(RangeResult(items, answer.header.revision, answer.header.cluster_id))

        request = rpc.RangeRequest(key=key).SerializeToString()
        return self._start("range", RANGE, [request], read)

    def renew(self, lease: int, ended: Callable[[bool | None], object]) -> bool:
        """Start to renew a lease; return False if that is not possible.

        :param ended: called in the hub with False if the lease has expired; with None if there is no
            response.
        """

        if self._calls is None:
            return False
        if not self._renewals:
            self._calls.defer(self._renew_all)
        self._renewals.append((lease, ended))
        return True

    def _renew_all(self) -> None:
        """Start the renewals of this turn of the loop; see :mod:`factstore.store.client.leases`."""
        waiting, self._renewals = self._renewals, []
        for at in range(0, len(waiting), RENEWALS):
            group = waiting[at : at + RENEWALS]
            requests, read = [renewal(lease) for lease, _ in group], partial(_end_renewals, group)
            if not self._start("lease_keep_alive", KEEP_ALIVE, requests, read):
                read(Failure.REFUSED)

    def call_all(self, call: str, method: str, requests: Sequence[bytes]) -> list[bytes | Failure]:
        """Make calls side by side, and wait for them; return the response of each, or its failure.

        gRPC needs ten times as much processor time for as many.
        """
        found: list[bytes | Failure] = [Failure.REFUSED] * len(requests)
        if self._calls is None:
            return found
        from gevent.event import Event

        running, ended = set(range(len(requests))), Event()

        def end(at: int, messages: list[bytes] | Failure) -> None:
            found[at] = messages if isinstance(messages, Failure) else messages[0]
            running.discard(at)
            if not running:
                ended.set()

        for at, request in enumerate(requests):
            if not self._start(call, method, [request], partial(end, at)):
                end(at, Failure.REFUSED)
        if running:
            ended.wait()
        return found

    def transact_all(
        self,
        txns: Sequence[AnyTxn],
        deadline: float,
        fence: Fence,
        ended: Callable[[tuple[list[bool], int] | Failure | Fenced], object],
    ) -> bool:
        """Start to send transactions as one; return False if that is not possible.

        :param ended: called in the hub with the transactions that succeeded, and the revision; or with
            the failure.  That is LOST after a part of the time, because an attempt that takes so long
            has probably been lost, and others have to follow.
        """

        def read(messages: list[bytes] | Failure) -> None:
            if isinstance(messages, Failure):
                ended(messages)
                return
            try:
                outcome = read_attempt(rpc.TxnResponse.FromString(messages[0]), len(txns), fence)
            except Fenced as error:
                ended(error)
            else:
                ended(outcome)

        seconds = min(deadline - time.monotonic(), self._patience.seconds(WRITE_SECONDS))
        return self._start("txn", TXN, [encode_attempt(txns, fence)], read, seconds)

    def watch(
        self, key: bytes, end: bytes, start: int, forget_token: Callable[[], None]
    ) -> LoopWatch | None:
        """Open a watch; return None if that is not possible.

        If one ended before etcd has answered, gRPC has to open the next one, which finds out why.
        """
        useless, self._last_was_useless = self._last_was_useless, False
        calls = self._calls
        if calls is None or useless:
            return None
        from factstore.store.client.loop_stream import LoopWatch

        request = watch_request(key, end, start).SerializeToString()

        def begin(received: Received) -> OpenStream | None:
            return calls.open(WATCH, request, received, (NEEDS_LEADER,))

        watch = LoopWatch(begin, forget_token, self._note_useless)
        return watch if watch.begun else None

    def _note_useless(self) -> None:
        self._last_was_useless = True

    def _notify_connected(self) -> None:
        if not self._last_was_useless:
            self._connected()

    def connect_soon(self) -> None:
        """Begin to open the connection, on which a watch can be opened."""
        if self._calls is not None:
            self._calls.connect_soon()

    def defer(self, call: Callable[[], object]) -> None:
        """Call a function in the next turn of the loop."""
        if self._calls is None:
            call()
        else:
            self._calls.defer(call)

    def close(self) -> None:
        """Close the connection."""
        if self._calls is not None:
            self._calls.close()

    def _start(
        self,
        call: str,
        method: str,
        requests: Sequence[bytes],
        ended: Ended,
        seconds: float | None = None,
    ) -> bool:
        if seconds is None:
            seconds = self._patience.seconds(READ_SECONDS)
        if self._calls is None or seconds <= 0:
            return False
        began = time.perf_counter()

        def observed(messages: list[bytes] | Failure) -> None:
            self._observe(call, time.perf_counter() - began)
            if not isinstance(messages, Failure):
                self._patience.note_answer()
            ended(messages)

        return self._calls.call(method, requests, observed, seconds)


def _end_renewals(group: _Renewals, messages: list[bytes] | Failure) -> None:
    responses = [None] * len(group) if isinstance(messages, Failure) else messages
    for (_, ended), response in zip(group, responses, strict=True):
        try:
            ended(None if response is None else renewed(response))
        except Exception:  # the others of the group have to be notified, too
            LOG.exception("The result of a renewal was not processed.")
