"""etcd without the service: its JSON gateway for one call, and many leases over gRPC."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import grpc
import requests

from factstore.store.client import messages as rpc

DELETED = 1  # type of a deletion in etcd's events


class Gateway:
    """One caller of the gateway, over one persistent connection."""

    def __init__(self, endpoint: str) -> None:
        self._root = f"{endpoint}/v3"
        self._session = requests.Session()
        self._session.trust_env = False

    def put(self, key: bytes, value: str) -> None:
        self._ask("kv/put", key=_base64(key), value=_base64(value.encode()))

    def get(self, key: bytes) -> dict[str, Any]:
        """Read a key, linearizably."""
        return self._ask("kv/range", key=_base64(key))

    def grant(self, seconds: int) -> None:
        """Make a lease, and leave it to expire."""
        self._ask("lease/grant", TTL=str(seconds))

    def revision(self) -> int:
        """Return the newest revision."""
        return int(self.get(b"none")["header"]["revision"])

    def remaining(self, lease: int) -> int:
        """Return the remaining seconds of a lease; negative if it has expired."""
        return int(self._ask("lease/timetolive", ID=str(lease)).get("TTL", 0))

    def _ask(self, call: str, **body: str) -> dict[str, Any]:
        answer = self._session.post(f"{self._root}/{call}", json=body, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


class Leases:
    """Many leases, over gRPC."""

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.insecure_channel(
            urlsplit(endpoint).netloc, options=[("grpc.enable_http_proxy", 0)]
        )
        self._lease, self._kv = rpc.LeaseStub(self._channel), rpc.KVStub(self._channel)

    def hold(self, keys: Iterable[bytes], ttl: int) -> list[int]:
        """Write the keys, each with a lease of its own, and return the leases."""
        made = []
        for key in keys:
            made.append(int(self._lease.LeaseGrant(rpc.LeaseGrantRequest(TTL=ttl)).ID))
            self._kv.Put(rpc.PutRequest(key=key, value=b"held", lease=made[-1]))
        return made

    def renew(self, leases: Iterable[int]) -> None:
        """Renew all leases over one stream.

        :raises AssertionError: a lease has expired.
        """
        asked = (rpc.LeaseKeepAliveRequest(ID=lease) for lease in list(leases))
        for answer in self._lease.LeaseKeepAlive(asked):
            assert answer.TTL > 0, f"lease {answer.ID:x} has ended"

    @contextmanager
    def kept(self, leases: list[int], period: float = 1.0) -> Iterator[None]:
        """Renew the leases of the list, which may grow, until the context ends and once more then."""
        stopping = threading.Event()
        wrong: list[Exception] = []

        def beat() -> None:
            while not stopping.wait(period):
                try:
                    self.renew(leases)
                except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
                    wrong.append(error)
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
        if wrong:
            raise wrong[0]
        self.renew(leases)

    @contextmanager
    def deletions(self, start: bytes, end: bytes) -> Iterator[list[float]]:
        """A list that grows: when each key of a range was seen deleted."""
        create = rpc.WatchCreateRequest(key=start, range_end=end)
        seen: list[float] = []
        begun, over = threading.Event(), threading.Event()

        def asked() -> Iterator[Any]:
            yield rpc.WatchRequest(create_request=create)
            over.wait()

        answers = rpc.WatchStub(self._channel).Watch(asked())

        def follow() -> None:
            with suppress(grpc.RpcError):  # it is cancelled
                for answer in answers:
                    begun.set()
                    now = time.perf_counter()
                    seen.extend(now for event in answer.events if event.type == DELETED)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            assert begun.wait(30), "the watch does not begin"
            yield seen
        finally:
            over.set()
            answers.cancel()
            thread.join()

    def close(self) -> None:
        self._channel.close()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
