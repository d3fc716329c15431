"""Letting in those who hold a grant, in front of the gate for everybody else.

A request with ``Authorization`` is a holder's and is judged by that alone.  What it holds is never
logged.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any

from factstore.api.errors import error_headers
from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.core.errors import FactstoreError, Invalid
from factstore.core.model.fact import Scope
from factstore.core.model.grant import Grant
from factstore.core.services.grants import GrantService
from factstore.wsgi.auth.keystone import PUBLIC, Environ, Wsgi
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.ops.logs import identify

LENGTH = 256  # of what stands in the header; a grant's is half of that
_CHALLENGE = 'Bearer realm="factstore", error="invalid_token"'


class NoHolder(FactstoreError):
    """What a request holds is no grant."""

    code = "unauthorized"


class GrantGate:
    """Identifies holders of grants, and leaves all other requests to another gate.

    :param others: the gate for requests without ``Authorization``.
    """

    def __init__(self, app: Wsgi, others: Wsgi, grants: GrantService) -> None:
        self._app = app
        self._others = others
        self._grants = grants

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Hand the request on as the holder's, or refuse it."""
        header = environ.get("HTTP_AUTHORIZATION")
        if header is None or environ.get("PATH_INFO", "") in PUBLIC:
            return self._others(environ, start_response)
        environ.pop(ENVIRON_KEY, None)
        try:
            if "HTTP_X_AUTH_TOKEN" in environ:
                raise Invalid(
                    "X-Auth-Token and Authorization say both who you are; send one.",
                    code="ambiguous",
                )
            scope, grant = self._held(header)
        except FactstoreError as error:
            headers = error_headers(error)
            if isinstance(error, NoHolder):
                headers["WWW-Authenticate"] = _CHALLENGE
            request_id = environ.get("openstack.request_id", "")
            refuse = problem(
                error.code, error.detail, request_id, extra=error.extra, headers=headers
            )
            return refuse(environ, start_response)
        identity = environ[ENVIRON_KEY] = Identity(
            f"grant:{grant.id}",
            scope.project_id,
            (),
            lambda: self._grants.holds(grant),
            scope.stack,
            grant.reach,
        )
        identify(identity.user_id, identity.project_id, identity.roles)
        return self._app(environ, start_response)

    def _held(self, header: str) -> tuple[Scope, Grant]:
        held = credentials(header)
        found = self._grants.holder(*held) if held else None
        if found is None:
            raise NoHolder(
                "send a grant that holds: as 'Authorization: Bearer <id>.<secret>', or its id and "
                "secret as user and password; it may have expired, or been revoked."
            )
        return found


def credentials(header: str) -> tuple[str, str] | None:
    """A grant's id and secret from ``Authorization``, as a bearer's (RFC 6750) or as user and password
    (RFC 7617); None if it holds nothing of the kind.
    """
    scheme, _, said = header.strip().partition(" ")
    said = said.strip()
    if not said.isascii() or len(said) > LENGTH:
        return None
    match scheme.lower():
        case "bearer":
            grant, dot, secret = said.partition(".")
        case "basic":
            try:
                grant, dot, secret = (
                    base64.b64decode(said, validate=True).decode("ascii").partition(":")
                )
            except (binascii.Error, UnicodeDecodeError):
                return None
        case _:
            return None
    return (grant, secret) if grant and dot and secret else None
