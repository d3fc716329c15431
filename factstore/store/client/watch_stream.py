"""A watch on one endpoint.  The caller decides where it starts, and whether to watch again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import grpc

from factstore.core.errors import Unavailable
from factstore.store.client import messages as rpc
from factstore.store.client.errors import describe, is_stale_token
from factstore.store.client.protobuf import revisions
from factstore.store.types import Compacted, WatchEvent

WATCH = "/etcdserverpb.Watch/Watch"

NEEDS_LEADER = ("hasleader", "true")
"""With it, a member of etcd ends its watches when it loses the leader.  Without it, they are silent
until the member is back in the cluster, while the others may have elected another leader."""


def watch_request(key: bytes, end: bytes, start: int) -> Any:
    """Return the request for a watch that starts at a revision."""
    create = rpc.WatchCreateRequest(key=key, range_end=end, start_revision=start)
    return rpc.WatchRequest(create_request=create)


class WatchStream(ABC):
    """A watch: an iterator over revisions, each a list of its events.

    :param forget_token: called if the token may have been the reason for its end.
    :ivar closed: True once :meth:`close` was called.
    """

    def __init__(self, forget_token: Callable[[], None]) -> None:
        self._forget_token = forget_token
        self.closed = False

    def __iter__(self) -> Iterator[Sequence[WatchEvent]]:
        """Yield until the stream ends.

        :raises Compacted: etcd has compacted the start revision.
        :raises Unavailable: the stream broke or was closed; watch again.
        """
        try:
            for answer in self._answers():
                if answer.compact_revision:
                    raise Compacted(answer.compact_revision)
                if answer.canceled:
                    self._forget_token()  # etcd 3.4 does not report a stale token as the reason
                    raise Unavailable(f"etcd cancelled the watch: {answer.cancel_reason}")
                # A response can contain a thousand revisions, which would need much memory at once.
                yield from revisions(answer.events)
                # The next one may be long in coming, and a worker that starts receives megabytes.
                answer = None
        finally:
            self.close()
        raise Unavailable("etcd closed the watch")

    @abstractmethod
    def _answers(self) -> Iterator[Any]:
        """Yield the responses of etcd."""

    @abstractmethod
    def close(self) -> None:
        """Close the stream; a running iteration raises Unavailable."""


class GrpcWatch(WatchStream):
    """A watch of gRPC."""

    def __init__(
        self,
        stub: Any,
        request: Any,
        metadata: Sequence[tuple[str, str]],
        forget_token: Callable[[], None],
    ) -> None:
        super().__init__(forget_token)
        self._requests: SimpleQueue[Any] = SimpleQueue()
        self._requests.put(request)
        self._responses = stub.Watch(
            iter(self._requests.get, None), metadata=(*metadata, NEEDS_LEADER)
        )

    def _answers(self) -> Iterator[Any]:
        try:
            yield from self._responses
        except grpc.RpcError as error:
            if is_stale_token(error):
                self._forget_token()
            raise Unavailable(f"The watch broke: {describe(error)}") from error

    def close(self) -> None:
        self.closed = True
        self._requests.put(None)
        self._responses.cancel()
