"""Tokens and endpoints from Keystone, for targets that are services of the same cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keystoneauth1 import exceptions, loading
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from oslo_config import cfg

from factstore.notify.targets.base import CloudError

SECTION = "keystone_authtoken"
CALL_SECONDS = 5.0
PROJECTS_KEPT = 1000
MESSAGING, ORCHESTRATION, CLOUDFORMATION = "messaging", "orchestration", "cloudformation"


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options of the service's own user."""
    loading.register_session_conf_options(conf, SECTION)
    loading.register_auth_conf_options(conf, SECTION)


class NoKeystone:
    """A cloud without authentication, for ``auth_strategy = none``."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf: Any = conf.notify

    def headers(self, project_id: str, trust_id: str | None) -> Mapping[str, str]:
        """Return headers with which Zaqar accepts requests, if it has no authentication either."""
        return {"X-Project-ID": project_id}

    def forget(self, project_id: str, trust_id: str | None) -> None:
        """Do nothing."""

    def zaqar_endpoint(self) -> str:
        """Return the URL of Zaqar. Raises CloudError."""
        if not self._conf.zaqar_endpoint:
            raise CloudError("this service does not know any Zaqar")
        return str(self._conf.zaqar_endpoint).rstrip("/")

    def heat_endpoints(self) -> Sequence[str]:
        """Return the URLs of Heat."""
        return [url.rstrip("/") for url in self._conf.heat_endpoints]


class KeystoneCloud(NoKeystone):
    """A cloud whose Keystone the section of the service's own user describes.

    :raises cfg.Error: the section is not complete.
    :raises exceptions.ClientException: it cannot be used.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._all = conf
        self._auth: Any = loading.load_auth_from_conf_options(conf, SECTION)
        self._session = self._new_session(self._auth)
        self._sessions: dict[tuple[str, str | None], Session] = {}

    def _new_session(self, auth: Any) -> Session:
        options: Any = self._all[SECTION]
        verify = False if options.insecure else options.cafile or True
        cert = (options.certfile, options.keyfile) if options.keyfile else options.certfile
        return Session(auth=auth, verify=verify, cert=cert, timeout=CALL_SECONDS)

    def headers(self, project_id: str, trust_id: str | None) -> Mapping[str, str]:
        """Return headers with a token for a project. Raises CloudError."""
        session = self._session_for(project_id, trust_id)
        try:
            token, project = session.get_token(), session.get_project_id()
        except exceptions.ClientException as error:
            reason = "the trust" if trust_id else "the service's user a role in the project"
            status = getattr(error, "http_status", None)
            raise CloudError(f"Keystone refused {reason}, or did not answer ({status})") from None
        # The id of a trust is not secret: another project's must not lead to its queues.
        if project != project_id:
            raise CloudError("the trust is not of the project of the subscription")
        return {"X-Auth-Token": str(token)}

    def _session_for(self, project_id: str, trust_id: str | None) -> Session:
        key = (project_id, trust_id)
        session = self._sessions.get(key)
        if session is None:
            if len(self._sessions) >= PROJECTS_KEPT:
                self._sessions.clear()
            own: Any = self._all[self._all[SECTION].auth_section or SECTION]
            scope: Any = {"trust_id": trust_id} if trust_id else {"project_id": project_id}
            auth = v3.Password(
                auth_url=own.auth_url,
                username=own.username,
                password=own.password,
                user_domain_id=own.user_domain_id,
                user_domain_name=own.user_domain_name,
                **scope,
            )
            session = self._sessions[key] = self._new_session(auth)
        return session

    def forget(self, project_id: str, trust_id: str | None) -> None:
        """Request a new token for the next headers."""
        self._sessions.pop((project_id, trust_id), None)

    def zaqar_endpoint(self) -> str:
        """Return the URL of Zaqar. Raises CloudError."""
        if self._conf.zaqar_endpoint:
            return super().zaqar_endpoint()
        found = self._endpoints(MESSAGING)
        if not found:
            raise CloudError("Keystone's catalog has no endpoint of Zaqar")
        return found[0]

    def heat_endpoints(self) -> Sequence[str]:
        """Return the URLs of Heat. Raises CloudError."""
        return super().heat_endpoints() or self._endpoints(CLOUDFORMATION, ORCHESTRATION)

    def _endpoints(self, *types: str) -> list[str]:
        """Return the URLs of services in the catalog, the internal ones first."""
        try:
            catalog = self._auth.get_access(self._session).service_catalog
        except exceptions.ClientException:
            raise CloudError("Keystone did not answer") from None
        return [
            url.rstrip("/")
            for service_type in types
            for interface in ("internal", "public")
            for url in catalog.get_urls(service_type=service_type, interface=interface)
        ]
