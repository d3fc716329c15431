"""A stream of server-sent events on a connection, whose rest the worker can send without a greenlet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from factstore.api.event_stream import Watcher, goodbye_piece
from factstore.wsgi.fast_path.chunks import LAST_CHUNK, chunk

if TYPE_CHECKING:
    from factstore.core.model.cursor import Cursor
    from factstore.wsgi.server.connection import Connection
    from factstore.wsgi.server.listener import Listener
    from factstore.wsgi.server.streams import Streams


class Stream:
    """The stream of one client.

    :param chunked: True if the response is in chunked coding.
    :param keeps_alive: True if another request may follow.
    :ivar listener: the listener that sends the stream; None while a greenlet sends it.
    """

    __slots__ = (
        "chunked",
        "connection",
        "descriptor",
        "keeps_alive",
        "listener",
        "streams",
        "watcher",
    )

    def __init__(
        self,
        connection: Connection,
        streams: Streams | None,
        watcher: Watcher,
        *,
        chunked: bool,
        keeps_alive: bool,
    ) -> None:
        self.connection = connection
        self.descriptor = connection.descriptor
        self.streams = streams
        self.watcher = watcher
        self.chunked = chunked
        self.keeps_alive = keeps_alive
        self.listener: Listener | None = None

    def framed(self, piece: bytes) -> bytes:
        """Return a piece of the stream as it is sent."""
        return chunk(piece) if self.chunked else piece

    def last(self, reason: str) -> bytes:
        """Return the last frame and the end of the response."""
        return self.framed(goodbye_piece(reason)) + (LAST_CHUNK if self.chunked else b"")

    def hand_over(self, cursor: Cursor) -> bool:
        """Let a listener continue the stream after a cursor; return False if none can."""
        if self.streams is None or not self.streams.join(self, cursor):
            return False
        self.connection.leave()
        return True

    # In the hub

    def begin(self, data: bytes, cursor: Cursor) -> None:
        """Send the first bytes; then a listener continues after a cursor, or a greenlet if none can."""
        try:
            sent = os.write(self.descriptor, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.gone()
            return
        if sent < len(data) or not self.hand_over(cursor):
            self.pull(memoryview(data)[sent:], cursor)

    def pull(self, rest: bytes | memoryview, cursor: Cursor | None) -> None:
        """Let a greenlet send bytes and continue the stream after a cursor, or end it without one."""
        assert self.streams is not None  # noqa: S101 - only streams with listeners get here
        self._leave_listener()
        self.connection.end_wait()
        self.streams.pull(self, rest, cursor)

    def finish(self, reason: str) -> None:
        """Send the last frame and end the stream."""
        last = self.last(reason)
        try:
            sent = os.write(self.descriptor, last)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.gone()
            return
        if sent < len(last):
            self.pull(memoryview(last)[sent:], None)
            return
        self._leave_listener()
        self.watcher.release()
        self.connection.end_stream()
        if self.keeps_alive and self.streams is not None and not self.streams.stopping:
            self.streams.serve_next(self.connection)
        else:
            self.connection.close()

    def gone(self) -> None:
        """End the stream, because its client has gone."""
        self._leave_listener()
        self.watcher.release()
        self.connection.count_gone()
        self.connection.close()

    def _leave_listener(self) -> None:
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.remove(self)
