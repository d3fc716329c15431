"""Responses that are streams of server-sent events."""

from __future__ import annotations

from collections.abc import Iterator

from factstore.api.event_stream import FIRST, HEADERS, STREAM, StreamBody, Watcher
from factstore.core.model.cursor import Cursor
from factstore.wsgi.fast_path.chunks import LAST_CHUNK, chunk
from factstore.wsgi.fast_path.http_response import ChunkedHead, header_lines

_LINES = header_lines((("Content-Type", STREAM), *HEADERS))
_HEAD = ChunkedHead(_LINES)
_BEGINNING = ChunkedHead(_LINES, chunk(FIRST))


class StreamAnswer:
    """The response of a stream."""

    status = 200
    size = 0
    waited = False

    def __init__(self, body: StreamBody) -> None:
        self._body = body

    def pieces(self, request_id: str) -> Iterator[bytes]:
        """Yield the bytes of the response."""
        try:
            yield _HEAD.of(request_id)
            for piece in self._body:
                yield chunk(piece)
            if not self._body.ended:
                yield LAST_CHUNK
        finally:
            self._body.close()

    def response(self, request_id: str) -> bytes:
        """Raise TypeError, because a stream has no end."""
        raise TypeError("a stream is sent in pieces")


class StreamStart:
    """The response of a stream that begins in the loop, and has nothing to deliver yet.

    :ivar cursor: of the position from which it has to be continued.
    """

    status = 200
    size = 0
    waited = False

    __slots__ = ("cursor", "watcher")

    def __init__(self, watcher: Watcher, cursor: Cursor) -> None:
        self.watcher = watcher
        self.cursor = cursor

    @property
    def head(self) -> bytes:
        """The first bytes of the response."""
        return _BEGINNING.of(self.watcher.request_id)
