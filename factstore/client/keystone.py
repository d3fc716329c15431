"""Endpoints and tokens of Keystone, by keystoneauth.

This is the only module that imports keystoneauth1, and it is imported only if a token is needed: a
grant needs no more than the standard library.  Requests to Keystone are sent by keystoneauth; they pass
the same proxies and trust the same CAs as those to factstore.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from keystoneauth1 import adapter, exceptions, loading
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session, TCPKeepAliveAdapter

from factstore.client.clock import Clock
from factstore.client.endpoint import Endpoint
from factstore.client.errors import MissingVariables, UnusableSettings
from factstore.client.http.origin import Origin
from factstore.client.http.proxies import Proxies
from factstore.client.http.session import HttpSession
from factstore.client.http.trust import Certificates, Trust, certificates_in
from factstore.client.keystone_failures import FAILURES, failure

OPTIONS = frozenset(inspect.signature(adapter.Adapter).parameters) - {"session"}
"""The options of an adapter of keystoneauth."""

_RENEWED_EARLY_SECONDS = 120.0
T = TypeVar("T")
_CLIENT_VARIABLES = frozenset(
    f"OS_{name}"
    for name in (
        *("AUTH_TYPE", "CACERT", "CERT", "CONTEXTUALIZATION_ENDPOINT_OVERRIDE", "ENDPOINT_TYPE"),
        *("CONTEXTUALIZATION_SERVICE_TYPE", "IDENTITY_API_VERSION", "INSECURE", "INTERFACE"),
        *("KEY", "REGION_NAME"),
    )
)


class KeystoneEndpoint(Endpoint):
    """The endpoint in Keystone's catalog, and tokens.  Several threads may use one.

    A token is used for as long as it is valid by Keystone's clock, counted on this machine from its
    receipt.  keystoneauth compares times of day: with a clock that is an hour fast, it would request a
    token for each request.

    :param trust: what the session trusts, to word its errors.
    :param options: parameters of :class:`keystoneauth1.adapter.Adapter`.
    """

    def __init__(self, session: Session, clock: Clock, trust: Trust, **options: Any) -> None:
        self._session = session
        self._clock = clock
        self._trust = trust
        self._adapter = adapter.Adapter(session, **options)
        self._lock = threading.Lock()
        self._url: str | None = None
        self._token: dict[str, str] | None = None
        self._token_ends = 0.0

    def url(self) -> str:
        """Return the root URL of the service.

        :raises keystoneauth1.exceptions.EndpointNotFound: the catalog does not have it.
        :raises Unavailable: Keystone cannot be reached, or cannot answer now.
        """
        with self._lock:
            if self._url is None:
                found = self._asked(self._adapter.get_endpoint)
                if found is None:
                    raise exceptions.EndpointNotFound(
                        f"The catalog has no endpoint for {self._adapter.service_type}."
                    )
                self._url = str(found)
            return self._url

    def credential(self) -> Mapping[str, str]:
        """Return the header with a token.

        :raises Unavailable: Keystone cannot be reached, or cannot answer now.
        """
        more = dict(self._adapter.additional_headers or {})
        if self._adapter.global_request_id:
            more["X-Openstack-Request-Id"] = self._adapter.global_request_id
        with self._lock:
            if self._token is not None and self._clock.monotonic() >= self._token_ends:
                self._discard()
            if self._token is not None:
                return {**more, **self._token}
            return {**more, **self._asked(self._new_token)}

    def renew(self) -> bool:
        """Discard the token, and return True if another can be requested."""
        with self._lock:
            return self._discard()

    def _discard(self) -> bool:
        self._token = self._url = None
        return bool(self._adapter.invalidate())

    def _new_token(self) -> dict[str, str]:
        auth = self._adapter.auth or self._session.auth
        if not isinstance(auth, BaseIdentityPlugin):  # it has no token, or one without an end
            return dict(self._session.get_auth_headers(auth) or {})
        received = self._clock.monotonic()
        access = auth.get_access(self._session)
        token = {"X-Auth-Token": str(access.auth_token)}
        if access.expires is not None and access.issued is not None:
            lifetime = (access.expires - access.issued).total_seconds()
            self._token, self._token_ends = token, received + lifetime - _RENEWED_EARLY_SECONDS
        return token

    def _asked(self, question: Callable[[], T]) -> T:
        """Return the answer of Keystone to a question."""
        try:
            return question()
        except FAILURES as error:  # of the service, a proxy, or a file of CAs
            unavailable = failure(error, self._trust)
            if unavailable is None:
                raise
            raise unavailable from error


def http_session(
    session: Session, source: str = "verify", option: str = "verify of the session"
) -> HttpSession:
    """Return an HTTP session that trusts what a session of keystoneauth trusts.

    :param source: the name of the setting from which the session has its CAs, for errors.
    :param option: the setting with which other CAs can be chosen, for errors.
    """
    verify, cert = session.verify, session.cert
    certificates = (
        Certificates(verify, source) if isinstance(verify, str) else certificates_in(os.environ)
    )
    client = (cert, None) if isinstance(cert, str) else cert
    return HttpSession(
        Trust(certificates, verify=verify is not False, client=client, option=option),
        Proxies.from_environ(os.environ),
    )


def session_from(known: Mapping[str, str], kind: str, http: HttpSession) -> Session:
    """Return a session with the keystoneauth plugin *kind*, whose options are ``OS_*`` variables.

    :raises MissingVariables: a variable is missing.
    :raises UnusableSettings: keystoneauth has no such plugin.
    """
    try:
        loader: loading.BaseLoader[Any] = loading.get_plugin_loader(kind)
    except exceptions.NoMatchingPlugin as error:
        raise UnusableSettings(
            f"keystoneauth has no plugin {kind!r}. Set auth_type (OS_AUTH_TYPE) to password, token,"
            " v3applicationcredential or another plugin that is installed; for a service without"
            " authentication, to none."
        ) from error

    def variable(option: loading.Opt) -> Any:
        names = [variable_of(one.name) for one in (option, *option.deprecated)]
        return next((known[name] for name in names if name in known), option.default)

    try:
        auth = loader.load_from_options_getter(variable)
    except exceptions.MissingRequiredOptions as error:
        missing = {str(option.dest): variable_of(option.name) for option in error.options}
        raise MissingVariables(missing) from None
    for option in loader.get_options():
        # keystoneauth would notice that only when it needs a token.
        if option.dest == "password" and not variable(option) and kind != "v3multifactor":
            raise MissingVariables({"password": variable_of(option.name)})
    if isinstance(auth, BaseIdentityPlugin):
        auth.reauthenticate = False  # KeystoneEndpoint knows better when a token ends
    trust = http.trust
    return Session(
        auth, session=_TokenSession(http.proxies), verify=trust.bundle(), cert=trust.client()
    )


def unknown_variables(known: Mapping[str, str], kind: str) -> list[str]:
    """Return the variables that neither the keystoneauth plugin *kind* nor this client has."""
    try:
        options = loading.get_plugin_options(kind)
    except exceptions.NoMatchingPlugin:
        return []
    names = {variable_of(one.name) for option in options for one in (option, *option.deprecated)}
    return sorted(known.keys() - names - _CLIENT_VARIABLES)


def variable_of(option: str) -> str:
    """Return the variable for an option of keystoneauth."""
    return f"OS_{option.replace('-', '_').upper()}"


class _TokenSession(requests.Session):
    """A session of requests that takes no passwords, proxies or CAs from the environment itself."""

    def __init__(self, proxies: Proxies) -> None:
        super().__init__()
        self.trust_env = False  # also: passwords in ~/.netrc
        self._found = proxies
        for scheme in ("http://", "https://"):
            self.mount(scheme, TCPKeepAliveAdapter())  # as keystoneauth's own session

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Return the settings of a request, with the proxy for its host."""
        origin = Origin.parse(str(url))
        proxy = self._found.find(*origin)
        found = {} if proxy is None else {urlsplit(str(url)).scheme: proxy.url}
        return super().merge_environment_settings(
            url, {**found, **(proxies or {})}, stream, verify, cert
        )
