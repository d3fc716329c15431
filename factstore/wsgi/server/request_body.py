"""The body of a request, as gunicorn reads it, and the end of a connection on which it is not read."""

from __future__ import annotations

import contextlib
import errno
import io
from collections.abc import Iterable
from typing import Any

import gevent
from gunicorn.http import errors as malformed
from gunicorn.http.body import Body

from factstore.wsgi.server.early_bytes import EarlyBytes

LINGER_BYTES = 8 * 1024 * 1024


class ChunkedBody(io.RawIOBase):
    """The chunked body of a request.

    A malformed chunk counts as a broken connection, not as a failure here.  The connection is closed
    after the response, because nobody knows where the next request begins (RFC 9112, section 7.1).
    """

    def __init__(self, request: Any) -> None:
        self._request, self._body = request, request.body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data: bytes = self._body.read(len(buffer))
        except malformed.ParseException as error:
            self._request.force_close()
            raise ConnectionResetError(errno.ECONNRESET, "malformed chunk") from error
        buffer[: len(data)] = data
        return len(data)


def check_codings(headers: Iterable[tuple[str, str]]) -> None:
    """Refuse a chunked body that is compressed, too, which gunicorn passes on as it is.

    :raises UnsupportedTransferCoding: there is a coding before ``chunked`` (RFC 9112, section 6.1).
    """
    values = [value for name, value in headers if name == "TRANSFER-ENCODING"]
    if [value.strip().lower() for value in values] != ["chunked"]:
        raise malformed.UnsupportedTransferCoding(",".join(values))


def read_rest(body: Any, seconds: float) -> bool:
    """Read and discard the rest of a body that was answered early; return False if it is cut."""
    # Closing a connection with unread data resets it. A client that is still sending may then never
    # read the response, and a proxy returns 502.
    if _is_complete(body):
        return True
    discarded = 0
    with (
        contextlib.suppress(OSError, malformed.ParseException),
        gevent.Timeout(seconds, False),
    ):
        while discarded < LINGER_BYTES:
            piece = body.read(64 * 1024)
            if not piece:
                return True
            discarded += len(piece)
    return False


def asks_to_close(headers: Iterable[tuple[str, str]]) -> bool:
    """Return True if ``close`` is one of the options in the ``Connection`` headers.

    gunicorn compares the first header as a whole, but it is a list (RFC 9110, section 7.6.1).
    """
    return any(
        option.strip().lower() == "close"
        for name, value in headers
        if name == "CONNECTION"
        for option in value.split(",")
    )


def close_if_unread(request: Any, connection: EarlyBytes) -> None:
    """Let a response end the connection if the client was not told to send the body."""
    if _is_complete(request.body) or all(name != "EXPECT" for name, _ in request.headers):
        return
    should_close = request.should_close

    def closes() -> bool:
        if connection.awaits_continue:  # it may send the body all the same, or never
            request.force_close()
        return bool(should_close())

    request.should_close = closes


def _is_complete(body: Any) -> bool:
    """Return True if nothing of a body of known length is left."""
    return isinstance(body, Body) and getattr(body.reader, "length", None) == 0
