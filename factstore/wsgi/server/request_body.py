"""The body of a request, as gunicorn reads it, and the end of a connection on which it is not read."""

from __future__ import annotations

import contextlib
import errno
import io
from typing import TYPE_CHECKING, Any, NoReturn

import gevent
from gunicorn.http import errors as malformed
from gunicorn.http.body import Body

from factstore.api.body_limit import BodyTooLarge
from factstore.wsgi.server.chunks import BoundedChunks
from factstore.wsgi.server.early_bytes import EarlyBytes

if TYPE_CHECKING:
    from factstore.wsgi.server.connection import Connection

LINGER_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 64 * 1024


class ChunkedBody(io.RawIOBase):
    """The chunked body of a request.

    :ivar ended: True if all of it has been read.

    A malformed chunk counts as a broken connection, not as a failure here.  The connection is closed
    after the response, because nobody knows where the next request begins (RFC 9112, section 7.1).  It
    is closed, too, if the body is too large.
    """

    def __init__(self, request: Any) -> None:
        self._request = request
        self._body = Body(BoundedChunks(request, request.unreader))
        self._failure: OSError | None = None
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._failure is not None:
            raise self._failure
        gevent.sleep(0)  # small chunks take time, which others would wait for
        try:
            data: bytes = self._body.read(len(buffer))
        except malformed.ParseException:
            self._fail(ConnectionResetError(errno.ECONNRESET, "malformed chunk"))
        except BodyTooLarge as error:
            self._fail(error)
        self.ended = not data
        buffer[: len(data)] = data
        return len(data)

    def _fail(self, failure: OSError) -> NoReturn:
        self._failure = failure
        self._request.force_close()
        raise failure


def read_rest(body: Any, seconds: float) -> bool:
    """Read and discard the rest of a body that was answered early; return False if it is cut."""
    discarded = 0
    with (
        contextlib.suppress(OSError, malformed.ParseException),
        # The connection's own limit, which is counted, ends before.
        gevent.Timeout(seconds + 1, False),
    ):
        while discarded < LINGER_BYTES:
            if is_read(body):
                return True
            piece = body.read(_PIECE_BYTES)
            if not piece:
                return True
            discarded += len(piece)
    return False


def is_read(body: Any) -> bool:
    """Return True if nothing of a body is left to read."""
    return body.ended if isinstance(body, ChunkedBody) else _left(body) == 0


def linger(connection: Connection, seconds: float) -> None:
    """Discard what a client still sends after its last response.

    Closing a connection with unread data resets it.  A client that is still sending may then never
    read the response, and a proxy returns 502.
    """
    discarded = 0
    with contextlib.suppress(OSError), gevent.Timeout(seconds, False):
        connection.end_responses()
        while discarded < LINGER_BYTES and (piece := connection.recv(_PIECE_BYTES)):
            discarded += len(piece)


def close_if_unread(request: Any, connection: EarlyBytes) -> None:
    """Let a response end the connection if the body will not be read.

    The client was not told to send it, or it is too large to be discarded.
    """
    if is_read(request.body):
        return
    should_close = request.should_close

    def closes() -> bool:
        if connection.awaits_continue:  # it may send the body all the same, or never
            request.force_close()
        if (_left(request.body) or 0) > LINGER_BYTES:
            request.force_close()
        return bool(should_close())

    request.should_close = closes


def _left(body: Any) -> int | None:
    """Return the number of bytes that are left of a body; None if its length is not known."""
    return getattr(body.reader, "length", None) if isinstance(body, Body) else None
