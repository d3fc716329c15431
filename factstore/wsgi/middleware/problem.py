"""Error answers from in front of the Flask application, in the form that its own answers have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

from factstore.api.errors import error_body
from factstore.api.media import JSON, error_type
from factstore.api.microversion import RESPONSE_HEADERS
from factstore.core.model.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Problem:
    """An error answer; as a WSGI application it gives that answer to any request.

    :param headers: without ``Content-Type``.
    :param below: returns the same answer of a service that a proxy serves below a prefix.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    below: Callable[[str], Problem]

    @property
    def status_line(self) -> str:
        """Return status and reason, such as ``429 Too Many Requests``."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    def headers_for(self, accept: str = "") -> list[tuple[str, str]]:
        """Return all headers of the answer to a request with this ``Accept``."""
        return [("Content-Type", error_type(accept) if accept else JSON), *self.headers]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send the answer."""
        root = quote(environ.get("SCRIPT_NAME", ""))
        found = self.below(root) if root else self
        start_response(found.status_line, found.headers_for(environ.get("HTTP_ACCEPT", "")))
        return [found.body]


def problem(
    code: str,
    detail: str,
    request_id: str,
    *,
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Problem:
    """Return an error answer.

    :param code: one of :data:`factstore.api.errors.STATUS`.
    :param extra: more members of the error.
    :param headers: more headers, such as ``Retry-After``.
    """
    return _problem(code, detail, request_id, extra, headers, "")


def _problem(
    code: str,
    detail: str,
    request_id: str,
    extra: Mapping[str, object] | None,
    headers: Mapping[str, str] | None,
    root: str,
) -> Problem:
    status, text = error_body(code, detail, request_id, extra, root=root)
    body = text.encode()
    return Problem(
        status,
        [
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            *RESPONSE_HEADERS.items(),
            *(headers or {}).items(),
        ],
        body,
        partial(_problem, code, detail, request_id, extra, headers),
    )
