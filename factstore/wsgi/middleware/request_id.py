"""Request ids, as oslo.middleware's RequestId gives them, without wrapping the response.

oslo.middleware makes a WebOb request and response of every request, which costs a twentieth of a write
and 4 KiB for every watcher.  Environment and header are the same here.

From its first to its last byte, a request's id is in every line that its greenlet or thread logs.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from factstore.api.errors import INTERNAL_ERROR
from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.ops.logs import LogContext

LOG = logging.getLogger(__name__)

HEADER = "X-Openstack-Request-Id"
_GLOBAL_ID = re.compile(r"req-[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}")


_IDS = 64  # that one call to the system makes; a power of two

_ids: list[str] = []
os.register_at_fork(after_in_child=_ids.clear)  # a parent and its child must not make the same


def new_request_id() -> str:
    """Return a unique request id: ``req-`` and a UUID, as oslo.context makes them.

    Only the beginning of the UUID is random, so an id is no secret.
    """
    while True:
        try:
            return _ids.pop()
        except IndexError:
            _ids.extend(_new_ids())


def _new_ids() -> Iterator[str]:
    """Yield ids whose last digits follow one another, because other random ones take a microsecond."""
    one = os.urandom(16).hex()
    variant = "89ab"[int(one[16], 16) % 4]
    beginning = f"req-{one[:8]}-{one[8:12]}-4{one[13:16]}-{variant}{one[17:20]}-"
    first = int(one[20:], 16) & -_IDS  # so that no sum has more digits
    for number in range(_IDS):
        yield f"{beginning}{first + number:012x}"


class RequestId:
    """Adds a request id to the environment, the answer and the log lines of each request.

    An id that the client sends is logged as the global request id; it never replaces the service's own.

    :param access_log: whether each answer is logged.
    """

    def __init__(self, app: WSGIApplication, *, access_log: bool = False) -> None:
        self._app = app
        self._access_log = access_log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on."""
        request_id = environ["openstack.request_id"] = new_request_id()
        global_id = environ.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
        if _GLOBAL_ID.fullmatch(global_id):
            environ["openstack.global_request_id"] = global_id
        context = LogContext(request_id, environ.get("openstack.global_request_id"))
        log_entry = _AccessLogEntry(environ) if self._access_log else None

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            if log_entry is not None:
                log_entry.status = status
            return start_response(status, [*headers, (HEADER, request_id)], *exc_info)

        try:
            body = self._app(environ, start)
        except Exception:
            # The Flask application answers its own failures, so some middleware failed.
            LOG.exception("The request failed in front of the application.")
            body = problem("internal_error", INTERNAL_ERROR, request_id)(environ, start)
        return _Body(body, context, log_entry)


class _AccessLogEntry:
    """A line of the access log.  It leaves out the query, which may contain a caller's data."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        path = environ.get("RAW_URI", "").partition("?")[0]  # as sent, if the server provides it
        if not path.startswith("/"):
            path = quote(environ.get("PATH_INFO", ""), "/:@", encoding="latin-1")
        self._request = f"{environ.get('REQUEST_METHOD', '-')} {path}"
        self._start = time.monotonic()
        self.status = "-"

    def log(self) -> None:
        seconds = time.monotonic() - self._start
        LOG.info("%s %s %.3f s", self._request, self.status.partition(" ")[0], seconds)


class _Body:
    """The body of an answer; when the server closes it, the request has ended."""

    __slots__ = ("_body", "_context", "_log_entry")

    def __init__(
        self, body: Iterable[bytes], context: LogContext, log_entry: _AccessLogEntry | None
    ) -> None:
        self._body = body
        self._context = context
        self._log_entry = log_entry

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except ClientGone:
            return  # nobody reads the rest of a stream
        except Exception:
            # The status has been sent, so only the log can report the failure.
            LOG.exception("The answer was cut short.")
            raise

    def close(self) -> None:
        """Close the inner body, write the access log and end the log context.

        The server calls this even if the answer was not sent.
        """
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
            if self._log_entry is not None:
                self._log_entry.log()
        finally:
            self._context.end()
