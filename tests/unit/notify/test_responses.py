"""Responses that are read here are read as the standard library reads them."""

from __future__ import annotations

import http.client
from dataclasses import asdict

import pytest

from factstore.core.model.delivery import Delivery
from factstore.core.model.value import encode
from factstore.notify.byte_stream import TooMuchReceived
from factstore.notify.deadline import Deadline
from factstore.notify.responses import BODY_BYTES, begin


class Pieces:
    """A stream that receives some pieces, and then the end."""

    def __init__(self, *pieces: bytes) -> None:
        self.deadline, self.receivable = Deadline(30), 10**9
        self._pieces = list(pieces)

    def receive(self, size: int) -> bytes:
        if not self._pieces:
            return b""
        data, self._pieces[0] = self._pieces[0][:size], self._pieces[0][size:]
        if not self._pieces[0]:
            del self._pieces[0]
        return data

    def send_all(self, data: bytes) -> None: ...

    def is_quiet(self) -> bool:
        return True

    def close(self) -> None: ...


def outcome(*pieces: bytes) -> object:
    try:
        response = begin(Pieces(*pieces))
    except (OSError, http.client.HTTPException, TooMuchReceived) as error:
        return type(error)
    return response.status, response.retry_after, response.read()


OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"


@pytest.mark.parametrize(
    "data",
    [
        OK + LENGTH + b"\r\nok",
        b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n",
        b"HTTP/1.1 500\r\nServer: nginx\r\ncontent-length:  0 \r\n\r\n",
        b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\nok",
        b"HTTP/1.1 99 Odd\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + LENGTH + b"\r\nok",
        OK + LENGTH + b"Connection: close\r\n\r\nok",
        OK + LENGTH + b"Connection: Keep-Alive\r\n\r\nok",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n" + LENGTH + b"\r\nok",
        OK + b"Content-Length: -2\r\n\r\nok",
        OK + b"Content-Length: two\r\n\r\nok",
        OK + b"Content-Length: %d\r\n\r\n" % (2 * BODY_BYTES) + b"x" * 2 * BODY_BYTES,
        OK + b"Folded: a\r\n b\r\n" + LENGTH + b"\r\nok",
        OK + b"\r\nuntil the end",
        b"",
        b"220 mail ESMTP\r\n",
    ],
)
def test_a_response_is_the_same_in_one_piece_and_in_two(data: bytes) -> None:
    """The standard library reads a response whose header arrives in parts."""
    assert outcome(data) == outcome(data[:1], data[1:])


@pytest.mark.parametrize(("sent", "read"), [(b"ok!", b"ok"), (b"o", b"o")])
def test_a_body_of_another_length_ends_the_use_of_the_connection(sent: bytes, read: bytes) -> None:
    assert outcome(OK + LENGTH + b"\r\n" + sent) == (200, None, (read, False))


@pytest.mark.parametrize(("delivered", "status", "error"), [(True, 200, None), (False, None, '"é')])
def test_a_delivery_is_logged_as_canonical_json(
    delivered: bool, status: int | None, error: str | None
) -> None:
    made = Delivery("s.1", "events", "2026-01-01T00:00:00Z", 1, 2, delivered, status, 5, error)
    assert made.text == encode(asdict(made))
