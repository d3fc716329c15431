"""Chunked bodies: what is too large or malformed is refused before anything more is read."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.http import errors as malformed
from gunicorn.http.unreader import IterUnreader

from factstore.api.body_limit import BODY_BYTES, BodyTooLarge
from factstore.wsgi.server.chunks import (
    EXTENSION_BYTES,
    LINE_BYTES,
    TRAILER_BYTES,
    BoundedChunks,
)

HALF = BODY_BYTES // 2


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def read(*pieces: bytes, ends: bool = False) -> bytes:
    """Return the body that arrives in some pieces; fail if the reader waits for more of them.

    :param ends: True if the client closes the connection behind them.
    """

    def arriving() -> Iterator[bytes]:
        yield from pieces
        assert ends, "the reader waits for more"

    request: Any = SimpleNamespace(
        limit_request_field_size=8190,
        max_buffer_headers=65536,
        trailers=[],
        parse_headers=lambda data, from_trailer: [],
    )
    reader = BoundedChunks(request, IterUnreader(arriving()))
    body = b""
    while data := reader.read(64 * 1024):
        body += data
    return body


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_body_is_read_however_it_arrives(size: int) -> None:
    raw = chunk(b"hello") + chunk(b" there", b";a=b") + b"0\r\nX-Trailer: 1\r\n\r\n"
    assert read(*(raw[at : at + size] for at in range(0, len(raw), size))) == b"hello there"


def test_the_largest_body_is_read_as_a_whole_in_halves_and_letter_by_letter() -> None:
    whole = chunk(b"x" * BODY_BYTES)
    assert len(read(whole, b"0\r\n\r\n")) == BODY_BYTES
    assert len(read(chunk(b"x" * HALF) * 2, b"0\r\n\r\n")) == BODY_BYTES
    assert len(read(chunk(b"x") * 50_000, b"0\r\n\r\n")) == 50_000


@pytest.mark.parametrize(
    "raw",
    [
        b"%x\r\n" % (BODY_BYTES + 1),
        b"%x\r\n" % 2**72,
        b"f" * 900 + b"\r\n",
        chunk(b"x" * HALF) + b"%x;a=b\r\n" % (HALF + 1),
        chunk(b"x" * BODY_BYTES) + b"1\r\n",
        chunk(b"x", b";a=" + b"b" * 1000) * 100,
    ],
    ids=["one chunk", "a huge one", "all digits", "two chunks", "one byte more", "extensions"],
)
def test_a_body_is_refused_as_soon_as_it_cannot_be_accepted(raw: bytes) -> None:
    with pytest.raises(BodyTooLarge):
        read(raw)


def test_extensions_have_a_limit_for_all_chunks_together() -> None:
    extension = b";a=" + b"b" * 497
    count = EXTENSION_BYTES // 500
    assert read(chunk(b"x", extension) * count, b"0\r\n\r\n") == b"x" * count
    with pytest.raises(BodyTooLarge, match="extensions"):
        read(chunk(b"x", extension) * (count + 10))


@pytest.mark.parametrize(
    "raw",
    [
        b"1;a=" + b"b" * LINE_BYTES,
        b"1;a=" + b"b" * LINE_BYTES + b"\r\n",
        b"2\n",
        b"zz\n",
        b"2;a=\nb\r\n",
        b"zz\r\n",
        b"0x2\r\n",
        b"+2\r\n",
        b"-2\r\n",
        b"2_0\r\n",
        b"2 \r\n",
        b" 2\r\n",
        b";a=b\r\n",
        b"\r\n",
        b"2\r\nhiXX",
        b"2\r\nhi\n0",
        b"0\r\nX-Long: " + b"x" * TRAILER_BYTES,
        b"0\r\n" + b"X-Many: x\r\n" * (TRAILER_BYTES // 10),
        b"0\r\nX-Odd: a\n",
    ],
)
def test_a_malformed_body_is_refused_without_waiting_for_its_rest(raw: bytes) -> None:
    with pytest.raises(malformed.ParseException):
        read(raw)


@pytest.mark.parametrize("raw", [b"", b"2", b"2\r\nh", b"2\r\nhi\r\n", b"0\r\n", b"0\r\nX: y\r\n"])
def test_a_body_that_ends_early_is_not_a_body(raw: bytes) -> None:
    with pytest.raises((malformed.NoMoreData, malformed.ParseException)):
        read(raw, ends=True)
