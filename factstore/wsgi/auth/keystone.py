"""Finding out who calls, before the application sees the request.

Headers that claim an identity are never believed: what the application reads is an object in the WSGI
environment, which no client can set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import webob
from keystoneauth1 import access
from keystoneauth1 import exceptions as keystone_errors
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token import _base
from oslo_config import cfg
from webob import exc

from factstore.api import docs_ui
from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.wsgi.addresses import is_loopback, name_of
from factstore.wsgi.auth import access_rules
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.ops.logs import identify

LOG = logging.getLogger(__name__)

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

PUBLIC = frozenset(["/", "/v1", "/v1/", "/v1/openapi.json"]) | docs_ui.PATHS
NO_PROJECT = "none"
NO_USER = "anybody"
SERVICE_TYPE = "contextualization"
CACHE_SECONDS = 50  # unless the operator says otherwise; a revoked token ends within a minute


class KeystoneGate(auth_token.AuthProtocol):
    """keystonemiddleware, answering in our error form and handing on an :class:`Identity`.

    A request without a valid token, or with a service token that is not one, goes no further.  When
    Keystone cannot be asked the answer is 503: the token may well be good.
    """

    def __init__(self, app: Wsgi, conf: cfg.ConfigOpts) -> None:
        conf.register_opts(auth_token.list_opts()[0][1], _base.AUTHTOKEN_GROUP)
        conf.set_default("token_cache_time", CACHE_SECONDS, _base.AUTHTOKEN_GROUP)
        settings = {
            "oslo_config_config": conf,
            "delay_auth_decision": False,
            "service_type": SERVICE_TYPE,
        }
        super().__init__(app, settings)
        self._direct = app

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Let discovery through; authenticate everything else."""
        environ.pop(ENVIRON_KEY, None)
        if environ.get("PATH_INFO", "") in PUBLIC:
            return self._direct(environ, start_response)
        answer: Iterable[bytes] = super().__call__(environ, start_response)
        return answer

    def process_request(self, request: Any) -> webob.Response | None:
        """Authenticate; a response that is returned ends the request here."""
        for name in ("X-Auth-Token", "X-Service-Token"):
            if "," in request.headers.get(name, ""):  # so servers join what stands twice
                return _problem(request, "ambiguous", f"{name} is given twice; give it once.")
        try:
            response: webob.Response | None = super().process_request(request)
        except exc.HTTPUnauthorized:
            return _problem(
                request,
                "unauthorized",
                "send a valid Keystone token for a project in X-Auth-Token; a service token, if "
                "any, must be valid too.",
                {"WWW-Authenticate": self._reject_auth_headers[0][1]},
            )
        except (exc.HTTPServiceUnavailable, keystone_errors.ClientException) as error:
            LOG.error("Keystone cannot be asked about a token: %s", error)
            return _problem(
                request,
                "identity_unavailable",
                "the identity service cannot be asked about the token; try again.",
                {"Retry-After": "2"},
            )
        if response is not None:
            return response
        user = request.token_auth.user
        if not user.project_id:
            return _problem(
                request, "project_required", "facts belong to a project; use a token for one."
            )
        token = request.user_token
        expires = datetime.fromisoformat(request.token_info["token"]["expires_at"])
        identity = request.environ[ENVIRON_KEY] = Identity(
            user.user_id,
            user.project_id,
            tuple(user.role_names),
            lambda: self._holds(token, expires),
        )
        identify(identity.user_id, identity.project_id, identity.roles)
        return None

    def validate_allowed_request(self, request: Any, token: Any) -> None:
        """Hold a restricted application credential to its access rules, read to the letter.

        :raises keystonemiddleware.auth_token.InvalidToken: none of them allows the request.
        """
        environ = request.environ
        path = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
        super().validate_allowed_request(request, access_rules.naming(token, path))

    def _holds(self, token: str, expires: datetime) -> bool:
        """Whether a token is still good; one that cannot be asked about is, until it expires."""
        try:
            answer = self._identity_server.verify_token(token)  # past the cache
            self._validate_token(access.create(body=answer, auth_token=token))
        except auth_token.InvalidToken:
            return False
        except (auth_token.ServiceError, keystone_errors.ClientException) as error:
            LOG.warning("a stream's token could not be checked: %s", error)
        return datetime.now(UTC) < expires


class OpenGate:
    """No authentication: one project for everybody."""

    def __init__(self, app: Wsgi) -> None:
        self._app = app
        self._everybody = Identity(NO_USER, NO_PROJECT, ("admin", "member", "reader"))

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Hand the request on as everybody's."""
        environ[ENVIRON_KEY] = everybody = self._everybody
        identify(everybody.user_id, everybody.project_id, everybody.roles)
        return self._app(environ, start_response)


class LoopbackOnly:
    """Keeps a service without authentication to callers on its own machine."""

    def __init__(self, app: Wsgi) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Hand the request on, if it is from here."""
        host = name_of(environ.get("HTTP_HOST", ""))
        # The caller, and the name it used: a web page elsewhere may have sent this machine's browser.
        if not (is_loopback(environ.get("REMOTE_ADDR", "")) and is_loopback(host)):
            refuse = problem(
                "not_loopback",
                "this service runs without authentication, for its own machine only.",
                environ.get("openstack.request_id", ""),
            )
            return refuse(environ, start_response)
        return self._app(environ, start_response)


def _problem(
    request: webob.Request, code: str, detail: str, headers: dict[str, str] | None = None
) -> webob.Response:
    """Return an error answer as keystonemiddleware expects one."""
    request_id = request.environ.get("openstack.request_id", "")
    return request.get_response(problem(code, detail, request_id, headers=headers))
