"""The session of a person at the console: a token of Keystone in a cookie.

It is the console's own endpoint and not part of the API. The token never reaches the page's scripts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from flask import Response, current_app, request
from flask.views import MethodView
from marshmallow import ValidationError as SchemaError
from marshmallow import fields, validate, validates_schema

from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.responses import json_response
from factstore.api.schemas.base import NoQuery, Schema
from factstore.console import cookie
from factstore.console.files import ROOT
from factstore.console.sign_in import (
    TOKEN_LENGTH,
    Attempts,
    IdentityService,
    Password,
    SignInRefused,
    Token,
)
from factstore.core.errors import Forbidden, NotFound
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.value import encode
from factstore.policies import (
    actions,
    alarms,
    configurations,
    facts,
    members,
    stacks,
    subscriptions,
    waiters,
)

PATH = f"{ROOT}/session"
SETTINGS = "factstore.console"
"""The application's extension with the :class:`SessionSettings`."""

RULES = {
    "put_fact": facts.PUT,
    "put_parameter": facts.PUT_PARAMETER,
    "delete_fact": facts.DELETE,
    "get_sensitive": facts.GET_SENSITIVE,
    "put_stack": stacks.PUT,
    "delete_stack": stacks.DELETE,
    "delete_member": members.DELETE,
    "delete_waiter": waiters.DELETE,
    "delete_alarm": alarms.DELETE,
    "cancel_action": actions.CANCEL,
    "list_configurations": configurations.LIST,
    "list_subscriptions": subscriptions.LIST,
}
"""The names of operations that the page offers only if policy allows them, and their rules."""


@quick_dataclass(frozen=True, slots=True)
class SessionSettings:
    """The parts that sessions need.

    :param identity: None without authentication.
    :param origins: see :func:`factstore.console.cookie.check_origin`.
    """

    attempts: Attempts
    identity: IdentityService | None = None
    origins: tuple[str, ...] = ()


def _text(length: int = 255, **more: Any) -> fields.String:
    return fields.String(validate=validate.Length(1, length), **more)


class SessionBody(Schema):
    """A user's password and a project, or a token."""

    example: ClassVar[dict[str, Any]] = {"user": "owner", "password": "secret", "project": "demo"}

    user = _text()
    user_domain = _text(load_default="Default")
    password = _text(4096)
    project = _text()
    project_domain = _text(load_default="Default")
    token = _text(TOKEN_LENGTH)

    @validates_schema(pass_original=True)
    def _password_or_token(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        if "token" in data:
            if others := ", ".join(sorted(original.keys() - {"token"})):
                raise SchemaError(f"It cannot be combined with {others}.", "token")
            return
        for name in ("user", "password", "project"):
            if name not in data:
                raise SchemaError("It is missing. Give user, password and project, or token.", name)


blueprint = Blueprint("console_session", __name__, description="The console's session.")


@blueprint.route(PATH)
class Session(MethodView):
    """The caller's session."""

    @blueprint.query(NoQuery)
    def get(self, query: dict[str, Any]) -> Response:
        """Show who is signed in, and what policy allows them."""
        identity = access().identity()
        allows = access().allows
        environ = request.environ
        return _private(
            json_response(
                encode(
                    {
                        "auth": "none" if _settings().identity is None else "keystone",
                        "user": environ.get("HTTP_X_USER_NAME") or identity.user_id,
                        "project": environ.get("HTTP_X_PROJECT_NAME") or identity.project_id,
                        "project_id": identity.project_id,
                        "allowed": [name for name, rule in RULES.items() if allows(rule)],
                    }
                )
            )
        )

    @blueprint.query(NoQuery)
    @blueprint.arguments(SessionBody)
    def post(self, query: dict[str, Any], body: dict[str, Any]) -> Response:
        """Sign in, and set the cookie."""
        settings = _settings()
        identity = _check(settings)
        token = body.get("token")
        if token is not None and not cookie.is_token(token):
            raise SignInRefused("The token has characters that no token has. Copy it again.")
        who = () if token is not None else (body["user"], body["user_domain"])
        with settings.attempts.attempt(request.remote_addr or "", *who):
            found = (
                identity.check(token)
                if token is not None
                else identity.issue(
                    Password(**{name: body[name] for name in Password.__dataclass_fields__})
                )
            )
        if not cookie.is_token(found.text):
            raise Forbidden(
                f"The token is longer than {TOKEN_LENGTH} characters, which a cookie cannot contain. "
                "Use tokens of another kind."
            )
        text = encode(
            {
                "user": found.user,
                "project": found.project,
                "expires_at": found.expires_at.isoformat(timespec="seconds"),
            }
        )
        response = _private(json_response(text, 201))
        _set_cookie(response, found)
        return response

    @blueprint.query(NoQuery)
    def delete(self, query: dict[str, Any]) -> Response:
        """Sign out: delete the cookie, and revoke the token."""
        identity = _check(_settings())
        token = cookie.token_in(request.environ)
        response = _private(Response(status=204))
        _set_cookie(response, None)
        if token is not None:
            identity.revoke(token)
        return response


def _settings() -> SessionSettings:
    found: SessionSettings = current_app.extensions[SETTINGS]
    return found


def _check(settings: SessionSettings) -> IdentityService:
    """Return Keystone if the request comes from the console's page.

    :raises Forbidden: it does not.
    :raises NotFound: the service has no authentication.
    """
    if settings.identity is None:
        raise NotFound("This service does not authenticate users, so there is no session.")
    if not cookie.is_from_console(request.environ):
        raise Forbidden(
            f"The request has no header {cookie.HEADER}: {cookie.HEADER_VALUE}. Only the console's "
            "page uses this URL; programs send a token in X-Auth-Token."
        )
    cookie.check_origin(request.environ, settings.origins)
    return settings.identity


def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _set_cookie(response: Response, token: Token | None) -> None:
    """Set the cookie, or delete it."""
    left = 0 if token is None else int((token.expires_at - datetime.now(UTC)).total_seconds())
    response.set_cookie(
        cookie.NAME,
        "" if token is None else token.text,
        max_age=max(0, left),
        path=f"{request.script_root}/",
        secure=cookie.is_secure(request.environ),
        httponly=True,
        samesite="Strict",
    )
