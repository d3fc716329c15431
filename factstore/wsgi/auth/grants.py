"""Authentication by grants.

A request with an ``Authorization`` header is authenticated by that header alone, whose value is never
logged.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from factstore.api.errors import error_headers
from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.core.errors import FactstoreError, Invalid, Unauthorized
from factstore.core.model.fact import Scope
from factstore.core.model.grant import Grant
from factstore.core.services.grants import GrantService
from factstore.wsgi.auth import is_public
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.ops.logs import set_caller

CREDENTIALS_LENGTH = 256  # characters of a header's value; those of a grant are half as many


class GrantAuth:
    """Authenticates requests that carry a grant, and passes all others to another middleware.

    :param app: the application for requests with a valid grant.
    :param without_grant: authenticates requests without ``Authorization``.
    """

    def __init__(
        self, app: WSGIApplication, without_grant: WSGIApplication, grants: GrantService
    ) -> None:
        self._app = app
        self._without_grant = without_grant
        self._grants = grants

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on with the holder's identity, or refuse it."""
        header = environ.get("HTTP_AUTHORIZATION")
        if header is None or is_public(environ):
            return self._without_grant(environ, start_response)
        environ.pop(ENVIRON_KEY, None)
        try:
            if "HTTP_X_AUTH_TOKEN" in environ:
                raise Invalid(
                    "X-Auth-Token and Authorization both identify the caller. Send only one of them.",
                    code="ambiguous",
                )
            scope, grant = self._authenticate(header)
        except FactstoreError as error:
            request_id = environ.get("openstack.request_id", "")
            headers = error_headers(error)
            refuse = problem(
                error.code, error.detail, request_id, extra=error.extra, headers=headers
            )
            return refuse(environ, start_response)
        identity = environ[ENVIRON_KEY] = grant_identity(self._grants, scope, grant)
        set_caller(identity.user_id, identity.project_id, identity.roles)
        return self._app(environ, start_response)

    def _authenticate(self, header: str) -> tuple[Scope, Grant]:
        credentials = parse_authorization(header)
        found = self._grants.authenticate(*credentials) if credentials else None
        if found is None:
            raise Unauthorized(
                "The credentials are not those of a valid grant. The grant may have expired or been "
                "revoked. Send a grant as 'Authorization: Bearer <id>.<secret>', or its id as user and "
                "its secret as password."
            )
        return found


def grant_identity(grants: GrantService, scope: Scope, grant: Grant) -> Identity:
    """Return the identity of a grant's holder."""
    return Identity(
        f"grant:{grant.id}",
        scope.project_id,
        (),
        lambda: grants.is_valid(grant),
        scope.stack,
        grant.permissions,
    )


def parse_authorization(header: str) -> tuple[str, str] | None:
    """Return a grant's id and secret, or None if the header has neither form.

    The forms are a bearer token (RFC 6750) and user and password (RFC 7617).
    """
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if not value.isascii() or len(value) > CREDENTIALS_LENGTH:
        return None
    match scheme.lower():
        case "bearer":
            grant, separator, secret = value.partition(".")
        case "basic":
            try:
                decoded = base64.b64decode(value, validate=True).decode("ascii")
            except (binascii.Error, UnicodeDecodeError):
                return None
            grant, separator, secret = decoded.partition(":")
        case _:
            return None
    return (grant, secret) if grant and separator and secret else None
