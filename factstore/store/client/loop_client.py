"""Reads and renewals that are started from gevent's loop, and end there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from factstore.store.client import messages as rpc
from factstore.store.client.http2 import Ended
from factstore.store.client.leases import KEEP_ALIVE
from factstore.store.client.protobuf import key_value
from factstore.store.types import Credentials, RangeResult

if TYPE_CHECKING:
    from factstore.store.client.loop_calls import LoopCalls

RANGE = "/etcdserverpb.KV/Range"


def is_patched() -> bool:
    """Return True if gevent has replaced the standard library's sockets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("socket")


class LoopClient:
    """The calls of :class:`LoopCalls`; without gevent, none can be started.

    :param observe: called with the name and the duration of every call.
    """

    def __init__(
        self,
        endpoint: Callable[[], str],
        credentials: Credentials,
        token: Callable[[], str | None],
        observe: Callable[[str, float], None],
    ) -> None:
        self._observe = observe
        self._calls: LoopCalls | None = None
        if is_patched():
            from factstore.store.client.loop_calls import LoopCalls

            self._calls = LoopCalls(endpoint, credentials, token)

    def get(self, key: bytes, ended: Callable[[RangeResult | None], object]) -> bool:
        """Start to read a key with a linearizable read; return False if that is not possible.

        :param ended: called in the hub with the result; with None if there is no response.
        """

        def read(message: bytes | None) -> None:
            if message is None:
                ended(None)
                return
            answer = rpc.RangeResponse.FromString(message)
            items = [key_value(kv) for kv in answer.kvs]
            ended(RangeResult(items, answer.header.revision, answer.header.cluster_id))

        return self._start("range", RANGE, rpc.RangeRequest(key=key), read)

    def renew(self, lease: int, ended: Callable[[bool | None], object]) -> bool:
        """Start to renew a lease; return False if that is not possible.

        :param ended: called in the hub with False if the lease has expired; with None if there is no
            response.
        """

        def read(message: bytes | None) -> None:
            alive = message and rpc.LeaseKeepAliveResponse.FromString(message).TTL > 0
            ended(None if message is None else bool(alive))

        request = rpc.LeaseKeepAliveRequest(ID=lease)
        return self._start("lease_keep_alive", KEEP_ALIVE, request, read)

    def close(self) -> None:
        """Close the connection."""
        if self._calls is not None:
            self._calls.close()

    def _start(self, call: str, method: str, request: Any, ended: Ended) -> bool:
        if self._calls is None:
            return False
        began = time.perf_counter()

        def observed(message: bytes | None) -> None:
            self._observe(call, time.perf_counter() - began)
            ended(message)

        return self._calls.call(method, request.SerializeToString(), observed)
