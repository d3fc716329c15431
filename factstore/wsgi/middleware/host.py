"""Refuses requests that do not name one host: RFC 9112 requires it, and links are built from it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from factstore.wsgi.middleware.problem import problem


class HostCheck:
    """Answers 400 to HTTP/1.1 without ``Host``, and to a target with another host."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or refuse it."""
        fault = _fault(environ)
        if fault is None:
            return self._app(environ, start_response)
        refuse = problem("http_invalid", fault, environ.get("openstack.request_id", ""))
        return refuse(environ, start_response)


def _fault(environ: WSGIEnvironment) -> str | None:
    host = environ.get("HTTP_HOST", "")
    # Health checks of load balancers send HTTP/1.0 without it.
    if not host and environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
        return "The request has no Host header. Send the name of the service in it."
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if target.startswith("/") or "://" not in target:
        return None
    try:
        named = urlsplit(target).netloc
    except ValueError:
        named = ""
    if host and named.lower() == host.lower():
        return None
    return "The target of the request has another host than its Host header. Send the path alone."
