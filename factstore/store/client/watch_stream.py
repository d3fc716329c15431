"""A watch on one endpoint.  The caller decides where it starts, and whether to watch again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import grpc

from factstore.core.errors import Unavailable
from factstore.store.client import messages as rpc
from factstore.store.client.errors import describe, is_stale_token
from factstore.store.client.protobuf import watch_event
from factstore.store.types import Compacted, WatchEvent


class WatchStream:
    """A watch: an iterator over revisions, each a list of its events."""

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

        :raises Compacted: etcd has compacted the start revision.
        :raises Unavailable: the stream broke or was closed; watch again.
        """
        try:
            for answer in self._answers:
                if answer.compact_revision:
                    raise Compacted(answer.compact_revision)
                if answer.canceled:
                    self._forget_token()  # etcd 3.4 does not report a stale token as the reason
                    raise Unavailable(f"etcd cancelled the watch: {answer.cancel_reason}")
                # A response can contain a thousand revisions, which would need much memory at once.
                found: list[WatchEvent] = []
                for event in answer.events:
                    converted = watch_event(event)
                    if found and found[-1].item.revision != converted.item.revision:
                        yield found
                        found = []
                    found.append(converted)
                if found:
                    yield found
        except grpc.RpcError as error:
            if is_stale_token(error):
                self._forget_token()
            raise Unavailable(f"the watch broke: {describe(error)}") from error
        finally:
            self.close()
        raise Unavailable("etcd closed the watch")

    def close(self) -> None:
        """Close the stream; a running iteration raises Unavailable."""
        self._requests.put(None)
        self._answers.cancel()
