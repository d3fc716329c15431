"""Authentication by Keystone tokens.

Identity headers that a client sends are ignored: the application reads the identity from an object in
the WSGI environment, which no client can set.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import webob
from keystoneauth1 import access
from keystoneauth1 import exceptions as keystone_errors
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token import _base
from keystonemiddleware.exceptions import KeystoneMiddlewareException
from oslo_config import cfg
from webob import exc

from factstore import SERVICE_TYPE
from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.wsgi.auth import is_public
from factstore.wsgi.auth.access_rules import keep_matching_rules, paths_to_allow
from factstore.wsgi.fast_path.callers import ValidTokens
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.ops.logs import set_caller

LOG = logging.getLogger(__name__)

CACHE_SECONDS = 50  # default of token_cache_time, so that a revoked token ends within a minute


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options of ``[keystone_authtoken]``, with this service's defaults."""
    conf.register_opts(auth_token.list_opts()[0][1], _base.AUTHTOKEN_GROUP)
    conf.set_default("token_cache_time", CACHE_SECONDS, _base.AUTHTOKEN_GROUP)
    conf.set_default("service_type", SERVICE_TYPE, _base.AUTHTOKEN_GROUP)


class KeystoneAuth(auth_token.AuthProtocol):
    """keystonemiddleware with this API's error answers; it passes on an :class:`Identity`.

    A request without a valid token, or with an invalid service token, is refused.  If Keystone does not
    answer, the response is 503, because the token may be valid.
    """

    def __init__(self, app: WSGIApplication, conf: cfg.ConfigOpts, tokens: ValidTokens) -> None:
        """Read the options.

        :raises oslo_config.cfg.Error: an option is not valid.
        """
        try:
            super().__init__(app, {"oslo_config_config": conf, "delay_auth_decision": False})
        except (keystone_errors.ClientException, KeystoneMiddlewareException) as error:
            raise cfg.ConfigFileValueError(f"[{_base.AUTHTOKEN_GROUP}] {error}") from error
        self._public_app = app
        self._tokens = tokens
        self._cache_seconds = max(0, conf[_base.AUTHTOKEN_GROUP].token_cache_time)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Authenticate every request but those for public paths."""
        environ.pop(ENVIRON_KEY, None)
        if is_public(environ):
            return self._public_app(environ, start_response)
        answer: Iterable[bytes] = super().__call__(environ, start_response)
        return answer

    @property
    def auth_url(self) -> str | None:
        """The URL of Keystone in the configuration, or None if the plugin has none."""
        return getattr(self._auth, "auth_url", None)

    def process_request(self, request: Any) -> webob.Response | None:
        """Set the request's identity and return None, or return the refusal."""
        for name in ("X-Auth-Token", "X-Service-Token"):
            # Servers join the values of a repeated header with commas; a token has none.
            if "," in request.headers.get(name, ""):
                return _problem(request, "ambiguous", f"{name} is given twice. Send it once.")
        try:
            response: webob.Response | None = super().process_request(request)
        except exc.HTTPUnauthorized:
            self._tokens.discard(request.headers.get("X-Auth-Token", ""))
            return _problem(
                request,
                "unauthorized",
                _unauthorized_text(request),
                {"WWW-Authenticate": self._reject_auth_headers[0][1]},
            )
        except (exc.HTTPServiceUnavailable, keystone_errors.ClientException) as error:
            LOG.error("Keystone could not be asked to validate a token: %s", error)
            return _problem(
                request,
                "identity_unavailable",
                "The identity service did not answer, so the token was not validated. Try again.",
                {"Retry-After": "2"},
            )
        if response is not None:
            return response
        user = request.token_auth.user
        if not user.project_id:
            return _problem(
                request,
                "project_required",
                "The token is not scoped to a project. Facts belong to a project; use a token for one.",
            )
        token = request.user_token
        expires = datetime.fromisoformat(request.token_info["token"]["expires_at"])
        identity = request.environ[ENVIRON_KEY] = Identity(
            user.user_id,
            user.project_id,
            tuple(user.role_names),
            lambda: self._is_valid(token, expires),
        )
        set_caller(identity.user_id, identity.project_id, identity.roles)
        if not self._is_restricted(request):
            left = (expires - datetime.now(UTC)).total_seconds()
            self._tokens.add(token, identity, min(left, self._cache_seconds))
        return None

    def _is_restricted(self, request: Any) -> bool:
        """Return True if a token is valid for some requests only, or together with another one."""
        credential = request.token_info["token"].get("application_credential") or {}
        return bool(credential.get("access_rules")) or "X-Service-Token" in request.headers

    def validate_allowed_request(self, request: Any, token: Any) -> None:
        """Check a request against the access rules of an application credential.

        :raises keystonemiddleware.auth_token.InvalidToken: no rule allows the request.
        """
        environ = request.environ
        path = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
        for each in paths_to_allow(environ["REQUEST_METHOD"], path, environ["QUERY_STRING"]):
            super().validate_allowed_request(request, keep_matching_rules(token, each))

    def _is_valid(self, token: str, expires: datetime) -> bool:
        """Return False if a token has expired or Keystone rejects it.

        If Keystone does not answer, the token counts as valid until it expires.
        """
        try:
            answer = self._identity_server.verify_token(token)  # bypasses the cache
            self._validate_token(access.create(body=answer, auth_token=token))
        except auth_token.InvalidToken:
            return False
        except (auth_token.ServiceError, keystone_errors.ClientException) as error:
            LOG.warning("The token of a stream could not be checked: %s", error)
        return datetime.now(UTC) < expires


def _unauthorized_text(request: webob.Request) -> str:
    if not request.headers.get("X-Auth-Token"):
        return (
            "The request has no credentials. Send a Keystone token for a project in X-Auth-Token, or a "
            "grant in Authorization."
        )
    services = (
        " The service token must be valid, too." if "X-Service-Token" in request.headers else ""
    )
    return (
        "The token is not valid: it may have expired, have been revoked, or not allow this request. "
        f"Request a new token for a project from the identity service.{services}"
    )


def _problem(
    request: webob.Request, code: str, detail: str, headers: dict[str, str] | None = None
) -> webob.Response:
    """Return an error answer as keystonemiddleware expects one."""
    request_id = request.environ.get("openstack.request_id", "")
    return request.get_response(problem(code, detail, request_id, headers=headers))
