"""Responses of the fast path, with the headers that gunicorn and the middlewares add to others."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from itertools import chain

from gunicorn.http.wsgi import SERVER
from gunicorn.util import http_date

from factstore.api.errors import STATUS, error_headers
from factstore.api.media import JSON
from factstore.api.microversion import RESPONSE_HEADERS
from factstore.api.responses import PIECE_CHARACTERS, encoded_pieces
from factstore.core.errors import FactstoreError, Throttled
from factstore.core.model.value import utf8_size
from factstore.wsgi.middleware.problem import Problem, problem
from factstore.wsgi.middleware.request_id import HEADER as REQUEST_ID

LOG = logging.getLogger(__name__)

JSON_LINE = f"Content-Type: {JSON}\r\n"
_EVERYWHERE = "".join(f"{name}: {value}\r\n" for name, value in RESPONSE_HEADERS.items())
BY_ACCEPT = _EVERYWHERE.replace("Vary: ", "Vary: Accept, ")
"""The lines of a response that depends on ``Accept``."""

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase.upper()}\r\nServer: {SERVER}\r\nDate: "
    for status in HTTPStatus
}


class _Dates:
    """The header ``Date``, which is the same for a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, http_date(second)
        return self._text


_DATES = _Dates()


def header_lines(headers: Iterable[tuple[str, str]]) -> str:
    """Return the lines of headers."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers])


class ChunkedHead:
    """The head of a response in chunked coding, which depends on ``Accept``.

    :param lines: of its headers other than those of every response.
    :param first: the chunk that follows.
    """

    def __init__(self, lines: str, first: bytes = b"") -> None:
        self._middle = (
            f"\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n{lines}{BY_ACCEPT}"
            f"{REQUEST_ID}: "
        )
        self._end = b"\r\n\r\n" + first
        self._date, self._start = "", b""  # the bytes before the request id, and their date

    def of(self, request_id: str) -> bytes:
        """Return the bytes of the head."""
        date = _DATES.now()
        if date is not self._date:
            self._date, self._start = date, f"{_STATUS_LINES[200]}{date}{self._middle}".encode()
        return b"%b%b%b" % (self._start, request_id.encode(), self._end)


class Answer:
    """The answer to a request.

    :param lines: of its headers other than those of every response.
    :param texts: the body in parts; None for a response that has none.
    :param waited: True if the request waited for a change, so that its duration says nothing.
    :param everywhere: the lines of headers that all such responses have.
    """

    __slots__ = ("_everywhere", "_lines", "_texts", "size", "status", "waited")

    def __init__(
        self,
        status: int,
        lines: str,
        texts: Sequence[str] | None,
        *,
        waited: bool = False,
        everywhere: str = _EVERYWHERE,
    ) -> None:
        self._everywhere = everywhere
        self.status = status
        self.waited = waited
        self.size = 0 if texts is None else sum(map(utf8_size, texts))
        self._lines = lines
        self._texts = texts

    def pieces(self, request_id: str) -> Iterable[bytes]:
        """Return the bytes of the response; those of a large one are made when they are needed."""
        if self.size <= PIECE_CHARACTERS:
            return [self.response(request_id)]
        return chain([self._head(request_id).encode()], encoded_pieces(self._texts or ()))

    def response(self, request_id: str) -> bytes:
        """Return the bytes of the response, also those of a large one."""
        return f"{self._head(request_id)}{''.join(self._texts or ())}".encode()

    def _head(self, request_id: str) -> str:
        length = "" if self._texts is None else f"Content-Length: {self.size}\r\n"
        return (
            f"{_STATUS_LINES[self.status]}{_DATES.now()}\r\nConnection: keep-alive\r\n"
            f"{self._lines}{self._everywhere}{REQUEST_ID}: {request_id}\r\n{length}\r\n"
        )


class Rendered:
    """A response of which all but its date and the request id is kept.

    :param lines: of its headers other than those of every response.
    :param body: of the response; None for a response that has none.
    :param waited: True if the request waited for a change, so that its duration says nothing.
    """

    __slots__ = ("_end", "_middle", "_start", "size", "status", "waited")

    def __init__(
        self,
        status: int,
        lines: str,
        body: str | None,
        *,
        waited: bool = False,
    ) -> None:
        self.waited = waited
        encoded = (body or "").encode()
        self.status, self.size = status, len(encoded)
        self._start = _STATUS_LINES[status].encode()
        self._middle = f"\r\nConnection: keep-alive\r\n{lines}{_EVERYWHERE}{REQUEST_ID}: ".encode()
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(encoded)
        self._end = b"\r\n%b\r\n%b" % (length, encoded)

    def response(self, request_id: str) -> bytes:
        """Return the bytes of the response."""
        date, own = _DATES.now().encode(), request_id.encode()
        return b"%b%b%b%b%b" % (self._start, date, self._middle, own, self._end)

    def pieces(self, request_id: str) -> Iterable[bytes]:
        """Return the bytes of the response, in one piece."""
        return [self.response(request_id)]


def etag_lines(etag: str) -> str:
    """Return the lines of headers of a response that caches have to validate."""
    return f'ETag: "{etag}"\r\nCache-Control: no-cache\r\n'


def refusal(
    error: FactstoreError,
    request_id: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    waited: bool = False,
) -> Answer:
    """Return the answer that states an error.

    :param headers: other than those of the error itself.
    """
    own = dict([*error_headers(error).items(), *headers])
    found = problem(error.code, error.detail, request_id, extra=error.extra, headers=own)
    return answer_of(found, waited=waited)


def logged_refusal(error: FactstoreError, request_id: str) -> Answer:
    """Return the answer that states an error, and log one that is not the caller's."""
    is_failure = STATUS[error.code][0] >= HTTPStatus.INTERNAL_SERVER_ERROR
    if is_failure and not isinstance(error, Throttled):
        LOG.warning("%s: %s", error.code, error.detail)
    return refusal(error, request_id)


def answer_of(found: Problem, *, waited: bool = False) -> Answer:
    """Return the answer of an error that the middlewares know.

    It is JSON: requests that accept ``application/problem+json`` are not on the fast path.
    """
    own = (*RESPONSE_HEADERS, "Content-Length")
    headers = [each for each in found.headers_for() if each[0] not in own]
    return Answer(found.status, header_lines(headers), [found.body.decode()], waited=waited)
