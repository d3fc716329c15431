"""The chunks of a request's body, of which no more is read than a body may contain (RFC 9112, 7.1).

gunicorn's own reader believes each size that a client declares, and waits for that many bytes.  And it
copies all that has arrived for each chunk, so that a body of single letters would take seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gunicorn.http import errors as malformed
from gunicorn.http.body import ChunkedReader

from factstore.api.body_limit import BODY_BYTES, BodyTooLarge

LINE_BYTES = 1024
TRAILER_BYTES = 8 * 1024
EXTENSION_BYTES = 64 * 1024
"""Of all size lines, beyond those that chunks of their sizes may have."""
_SIZE_BYTES = 16  # of a size, and of an extension of a few letters

_TOKEN = rb"[\w!#$%&'*+.^`|~-]+"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*%s(?:[ \t]*=[ \t]*(?:%s|%s))?" % (_TOKEN, _TOKEN, _QUOTED)
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:%s)*\r\n" % _EXTENSION)
_END = b"\r\n"


class BoundedChunks(ChunkedReader):
    """gunicorn's reader with limits for the body, the lines between its parts, and the trailers."""

    def __init__(self, request: Any, unreader: Any) -> None:
        super().__init__(request, unreader)
        self._total = self._extensions = 0

    def parse_chunked(self, unreader: Any) -> Iterator[bytes]:
        """Yield the parts of the body as they arrive.

        :raises BodyTooLarge: the body would be larger than it may be.
        """
        data, at = b"", 0
        parts: list[bytes] = []
        while True:
            line = _SIZE_LINE.match(data, at)
            if line is None:
                yield b"".join(parts)
                data, at, parts = _with_more(data[at:], unreader), 0, []
                continue
            at = line.end()
            if at - line.start() > LINE_BYTES:
                raise malformed.InvalidChunkSize(line[1][:LINE_BYTES])
            size = int(line[1], 16)
            self._count(size, at - line.start())
            if size == 0:
                break
            while len(data) - at < size + len(_END):
                part = data[at : at + size]
                size -= len(part)
                parts.append(part)
                yield b"".join(parts)
                data, at, parts = _read(unreader, data[at + len(part) :]), 0, []
            parts.append(data[at : at + size])
            at += size + len(_END)
            if data[at - len(_END) : at] != _END:
                raise malformed.ChunkMissingTerminator(data[at - len(_END) : at])
        yield b"".join(parts)
        self.parse_trailers(unreader, data[at:])

    def _count(self, size: int, line: int) -> None:
        """Count a chunk.

        :raises BodyTooLarge: the body is too large with it.
        """
        self._total += size
        # A client that sends letter by letter is served, but not one that sends mostly extensions.
        self._extensions = max(0, self._extensions + line - _SIZE_BYTES - size)
        if self._total > BODY_BYTES:
            raise BodyTooLarge
        if self._extensions > EXTENSION_BYTES:
            raise BodyTooLarge(
                f"The extensions of the body's chunks have more than {EXTENSION_BYTES} bytes. Send the "
                "body without them."
            )

    def parse_trailers(self, unreader: Any, data: bytes) -> Any:
        """Read the headers behind the last chunk, and ignore them."""
        while not (data.startswith(_END) or 2 * _END in data):
            _check_beginning(data, TRAILER_BYTES)
            data = _read(unreader, data)
        return super().parse_trailers(unreader, data)


def _with_more(data: bytes, unreader: Any) -> bytes:
    """Return the beginning of a size line with what has arrived behind it.

    :raises gunicorn.http.errors.ParseException: it is the beginning of no such line.
    """
    if _END in data:
        raise malformed.InvalidChunkSize(data[:LINE_BYTES])
    _check_beginning(data, LINE_BYTES)
    return _read(unreader, data)


def _check_beginning(data: bytes, most: int) -> None:
    """Refuse lines that do not end, and newlines that end none.

    :raises gunicorn.http.errors.ParseException: the rest cannot make them valid.
    """
    if len(data) > most or data.count(b"\n") != data.count(_END):
        raise malformed.InvalidChunkSize(data[:LINE_BYTES])


def _read(unreader: Any, data: bytes) -> bytes:
    """Return bytes with those that arrive next."""
    more: bytes = unreader.read()
    if not more:
        raise malformed.NoMoreData
    return data + more
