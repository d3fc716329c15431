"""Responses of web servers, of which only a part is read.

Most responses are short and simple, and are read here; the standard library reads all others.
"""

from __future__ import annotations

import http.client
import io
import re
from functools import lru_cache
from typing import Any, Protocol

from factstore.notify.byte_stream import ByteStream, TooMuchReceived
from factstore.notify.deadline import TimedOut

HEADER_BYTES = 16 * 1024
BODY_BYTES = 64 * 1024
INTERIM_RESPONSES = 16
"""The responses with a status below 200 that may precede the one to a request."""
_PIECE_BYTES = 8192
_SIMPLE = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [ -~]*)?\r\n((?:[!-9;-~]+:[\t -~]*\r\n)+)\r\n")
_LENGTH = re.compile(rb"[0-9]{1,9}")
_NOT_SIMPLE = frozenset((b"transfer-encoding", b"retry-after", b"upgrade", b"trailer"))
_WITHOUT_BODY = frozenset((204, 304))


class Response(Protocol):
    """A response whose header has been received."""

    @property
    def status(self) -> int:
        """The status, 200 or more."""

    @property
    def is_complete(self) -> bool:
        """True if the whole body has been received, so that :meth:`read` does not wait."""

    @property
    def retry_after(self) -> float | None:
        """The seconds for which the server wants no other request, if it has named them."""

    def read(self) -> tuple[bytes, bool]:
        """Return the beginning of the body, and True if the connection can be used again."""


def begin(stream: ByteStream) -> Response:
    """Return the next response, without the interim ones, such as 103 (Early Hints).

    :raises TooMuchReceived: the header is too long.
    :raises http.client.HTTPException: it is not HTTP.
    """
    data = stream.receive(_PIECE_BYTES)
    simple = _simple_response(stream, data)
    if simple is not None:
        return simple
    received: Any = _SocketOfStream(stream, data)
    for _ in range(INTERIM_RESPONSES):
        response = http.client.HTTPResponse(received, method="POST")
        response.begin()
        if response.status >= 200:
            return _OtherResponse(response)
    raise TooMuchReceived


def _simple_response(stream: ByteStream, data: bytes) -> Response | None:
    """Return the response if its whole header has been received and has nothing unusual."""
    end = data.find(b"\r\n\r\n") + 4
    found = _simple_head(data[:end]) if end > 3 else None
    return None if found is None else _SimpleResponse(stream, *found, data[end:])


@lru_cache(256)  # within a second, a server sends the same header again and again
def _simple_head(data: bytes) -> tuple[int, int] | None:
    """Return the status and the length of the body, if a header has nothing unusual."""
    head = _SIMPLE.fullmatch(data)
    if head is None:
        return None
    length: bytes | None = None
    for line in head[2].lower().splitlines():
        name, _, value = line.partition(b":")
        if name in _NOT_SIMPLE or (name == b"connection" and value.strip() != b"keep-alive"):
            return None
        if name == b"content-length":
            if length is not None or not _LENGTH.fullmatch(value.strip()):
                return None
            length = value.strip()
    status = int(head[1])
    if length is None or status in _WITHOUT_BODY:
        return None
    return status, int(length)


class _SimpleResponse:
    retry_after = None

    def __init__(self, stream: ByteStream, status: int, length: int, body: bytes) -> None:
        self.status = status
        self._stream = stream
        self._length = length
        self._body = body

    @property
    def is_complete(self) -> bool:
        return len(self._body) >= min(self._length, BODY_BYTES)

    def read(self) -> tuple[bytes, bool]:
        body, wanted = self._body, min(self._length, BODY_BYTES)
        try:
            while len(body) < wanted:
                piece = self._stream.receive(wanted - len(body))
                if not piece:
                    break
                body += piece
        except (OSError, TimedOut, TooMuchReceived):
            pass  # the status has been received, and decides
        return body[:wanted], len(body) == self._length


class _OtherResponse:
    is_complete = False

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        text = response.getheader("Retry-After", "")
        given = text.isascii() and text.isdigit() and len(text) < 8
        self.retry_after = float(text) if given else None
        self._response = response

    def read(self) -> tuple[bytes, bool]:
        body, response = b"", self._response
        try:
            while len(body) < BODY_BYTES:
                body += response.read(BODY_BYTES - len(body))
                if response.isclosed():  # it has been read to its end
                    return body, not response.will_close
        except (OSError, TimedOut, TooMuchReceived, http.client.HTTPException, ValueError):
            # The status has been received, and decides. ValueError: a chunk with a negative size.
            pass
        return body, False


class _SocketOfStream:
    """The part of a socket that the parser of responses uses."""

    def __init__(self, stream: ByteStream, received: bytes) -> None:
        self._file = _File(_Reader(stream, received), _PIECE_BYTES)

    def makefile(self, mode: str) -> io.BufferedReader:
        return self._file


class _File(io.BufferedReader):
    """The received bytes: the response after an interim one is read from here, too."""

    def close(self) -> None:
        pass


class _Reader(io.RawIOBase):
    """The bytes that were received, and those that follow."""

    def __init__(self, stream: ByteStream, received: bytes) -> None:
        self._stream = stream
        self._received = received

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._received or self._stream.receive(len(buffer))
        taken = data[: len(buffer)]
        self._received = data[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)
