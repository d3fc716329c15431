"""No authentication: one identity for every caller, who has to be on the same machine."""

from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.wsgi.addresses import host_name, is_loopback
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.ops.logs import set_caller

NO_PROJECT = "none"
NO_USER = "anybody"
ANYBODY = Identity(NO_USER, NO_PROJECT, ("admin", "member", "reader"))


class NoAuth:
    """Gives every request the same identity."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on with the identity."""
        environ[ENVIRON_KEY] = identity = ANYBODY
        set_caller(identity.user_id, identity.project_id, identity.roles)
        return self._app(environ, start_response)


class LoopbackOnly:
    """Refuses requests that come from other machines."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or answer 403."""
        host = host_name(environ.get("HTTP_HOST", ""))
        # The address alone is not enough: a web page from elsewhere can make a browser on this machine
        # send requests, and then the Host header names that page's host.
        if not (is_loopback(environ.get("REMOTE_ADDR", "")) and is_loopback(host)):
            refuse = problem(
                "not_loopback",
                "The service runs without authentication and only serves callers on its own machine.",
                environ.get("openstack.request_id", ""),
            )
            return refuse(environ, start_response)
        return self._app(environ, start_response)
