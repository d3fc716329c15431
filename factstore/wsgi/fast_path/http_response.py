"""Responses of the fast path, with the headers that gunicorn and the middlewares add to others."""

from __future__ import annotations

import time
from collections.abc import Iterable
from http import HTTPStatus

from gunicorn.http.wsgi import SERVER
from gunicorn.util import http_date

from factstore.api.errors import error_headers
from factstore.api.microversion import RESPONSE_HEADERS
from factstore.core.errors import FactstoreError
from factstore.wsgi.middleware.problem import Problem, problem
from factstore.wsgi.middleware.request_id import HEADER as REQUEST_ID

_EVERYWHERE = "".join(f"{name}: {value}\r\n" for name, value in RESPONSE_HEADERS.items())
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


def response(
    status: int, headers: Iterable[tuple[str, str]], body: str | None, request_id: str
) -> bytes:
    """Return the bytes of a response.

    :param headers: other than those of every response.
    :param body: None for a response that has none.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    head = (
        f"{_STATUS_LINES[status]}{_DATES.now()}\r\nConnection: keep-alive\r\n{lines}{_EVERYWHERE}"
        f"{REQUEST_ID}: {request_id}\r\n"
    )
    if body is None:
        return f"{head}\r\n".encode("latin-1")
    content = body.encode()
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode("latin-1") + content


def body_length(data: bytes) -> int:
    """Return the number of bytes of the body of a response."""
    return len(data) - data.index(b"\r\n\r\n") - 4


def etag_headers(etag: str) -> list[tuple[str, str]]:
    """Return the headers of a response that caches have to validate."""
    return [("ETag", f'"{etag}"'), ("Cache-Control", "no-cache")]


def refusal(error: FactstoreError, request_id: str) -> tuple[int, bytes]:
    """Return the status and the bytes of a response that states an error."""
    answer = problem(
        error.code, error.detail, request_id, extra=error.extra, headers=error_headers(error)
    )
    return answer.status, sent(answer, request_id)


def sent(answer: Problem, request_id: str) -> bytes:
    """Return the bytes of an error answer."""
    own = (*RESPONSE_HEADERS, "Content-Length")
    headers = [each for each in answer.headers if each[0] not in own]
    return response(answer.status, headers, answer.body.decode(), request_id)
