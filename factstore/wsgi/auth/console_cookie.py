"""The cookie of the console as a Keystone token.

The cookie counts only in a request with the console's header and, if the request changes something,
from the console's origin. In any other request it is ignored, and keystonemiddleware finds no token.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from factstore.api.errors import error_headers
from factstore.console import cookie, session
from factstore.core.errors import FactstoreError, Invalid
from factstore.wsgi.middleware.problem import problem


class ConsoleCookie:
    """Passes the token in the console's cookie on as ``X-Auth-Token``.

    :param origins: see :func:`factstore.console.cookie.check_origin`.
    """

    def __init__(self, app: WSGIApplication, origins: Collection[str] = ()) -> None:
        self._app = app
        self._origins = origins

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on with its token, or refuse it."""
        # The session's own URL checks what it needs, because it also replaces a broken cookie.
        if cookie.is_from_console(environ) and environ.get("REQUEST_METHOD") != "OPTIONS":
            reads_session = environ["REQUEST_METHOD"] in cookie.SAFE_METHODS
            if environ.get("PATH_INFO") != session.PATH or reads_session:
                try:
                    self._use(environ)
                except FactstoreError as error:
                    request_id = environ.get("openstack.request_id", "")
                    headers = error_headers(error)
                    refuse = problem(error.code, error.detail, request_id, headers=headers)
                    return refuse(environ, start_response)
        return self._app(environ, start_response)

    def _use(self, environ: WSGIEnvironment) -> None:
        token = cookie.token_in(environ)
        if token is None:
            return
        if "HTTP_X_AUTH_TOKEN" in environ or "HTTP_AUTHORIZATION" in environ:
            raise Invalid(
                f"The cookie with {cookie.HEADER} and another header both identify the caller. Send "
                "only one of them.",
                code="ambiguous",
            )
        cookie.check_origin(environ, self._origins)
        environ["HTTP_X_AUTH_TOKEN"] = token
