"""Streams of messages that arrive in gevent's loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gevent.queue import SimpleQueue

from factstore.core.errors import Unavailable
from factstore.store.client import messages as rpc
from factstore.store.client.http2 import Http2Connection
from factstore.store.client.http2_calls import Received
from factstore.store.client.watch_parts import parts_of
from factstore.store.client.watch_stream import WatchStream


class OpenStream:
    """A stream of messages.

    :param flush_soon: lets what was added to the connection be sent.
    """

    def __init__(
        self, http2: Http2Connection, number: int, flush_soon: Callable[[], object]
    ) -> None:
        self._http2 = http2
        self._number = number
        self._flush_soon = flush_soon

    def take(self, size: int) -> None:
        """Record that a message was taken, so that the server may send more."""
        self._http2.take(self._number, size)
        if self._http2.to_send:
            self._flush_soon()

    def close(self) -> None:
        """End the stream."""
        self._http2.cancel(self._number)
        self._flush_soon()


class LoopWatch(WatchStream):
    """A watch in the loop, which needs no thread.

    :param begin: opens the stream; returns None if that is not possible.
    :param useless: called if the stream ends before etcd has answered.
    """

    def __init__(
        self,
        begin: Callable[[Received], OpenStream | None],
        forget_token: Callable[[], None],
        useless: Callable[[], None],
    ) -> None:
        super().__init__(forget_token)
        self._useless = useless
        self._messages: Any = SimpleQueue()
        self._stream = begin(self._messages.put)

    @property
    def begun(self) -> bool:
        """True if the stream was opened."""
        return self._stream is not None

    def _answers(self) -> Iterator[Any]:
        heard = False
        while (message := self._messages.get()) is not None:
            heard = True
            if self._stream is not None:
                self._stream.take(len(message))
            parts = parts_of(message)
            message = None  # nothing here may keep any of them while the next one is awaited
            while (part := next(parts, None)) is not None:
                parsed = [rpc.WatchResponse.FromString(part)]
                part = None
                yield parsed.pop()
        if not (heard or self.closed):
            self._forget_token()
            self._useless()
        if self.closed:
            raise Unavailable("This worker has closed the watch, which was silent or has to end")
        raise Unavailable("The watch broke: its connection was closed, or etcd has ended it")

    def close(self) -> None:
        self.closed = True
        if self._stream is not None:
            self._stream.close()
