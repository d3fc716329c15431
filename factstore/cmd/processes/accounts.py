"""The accounts in the private Keystone: projects, users, the catalog, and tokens."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from keystoneauth1 import adapter, exceptions, plugin
from keystoneauth1 import session as ks_session
from keystoneauth1.identity import v3

from factstore import SERVICE_TYPE
from factstore.cmd.processes.openrc import cloud, clouds_text, openrc_text
from factstore.cmd.processes.private_file import write_private

SERVICE_NAME = "factstore"
REGION = "RegionOne"


@dataclass(frozen=True)
class Persona:
    """A user with one role assignment per role, all on one project."""

    username: str
    project: str
    roles: tuple[str, ...]


PERSONAS = {
    "admin": Persona("admin", "admin", ("admin",)),
    "service": Persona("factstore", "service", ("admin", "service")),
    "owner": Persona("owner", "alpha", ("member",)),
    "reader": Persona("reader", "alpha", ("reader",)),
    "outsider": Persona("outsider", "beta", ("member",)),
}


@dataclass(frozen=True)
class ApplicationCredential:
    """The credential that an instance uses instead of a password."""

    id: str
    secret: str


class Accounts:
    """The personas of one Keystone. Methods that call it raise keystoneauth1's exceptions."""

    def __init__(
        self, auth_url: str, passwords: Mapping[str, str], service_type: str = SERVICE_TYPE
    ) -> None:
        """``passwords`` must have an entry for each persona."""
        self.auth_url = auth_url
        self.service_type = service_type
        self._passwords = dict(passwords)

    @staticmethod
    def new_passwords() -> dict[str, str]:
        """Return a random password for each persona."""
        return {persona: secrets.token_urlsafe(24) for persona in PERSONAS}

    def password(self, persona: str) -> str:
        """Return the password of a persona. Raises KeyError if the persona is unknown."""
        return self._passwords[persona]

    def provision(self, endpoint: str) -> None:
        """Create the personas, projects and roles, and add ``endpoint`` to the catalog.

        The method is idempotent. Existing accounts are kept.
        """
        keystone = self._keystone("admin")
        roles = {role["name"]: role["id"] for role in keystone.get("/roles").json()["roles"]}
        for name, persona in PERSONAS.items():
            project = ensure(keystone, "project", persona.project, domain_id="default")
            secret = {"password": self._passwords[name], "default_project_id": project}
            user = ensure(keystone, "user", persona.username, domain_id="default", extra=secret)
            for role in persona.roles:
                keystone.put(f"/projects/{project}/users/{user}/roles/{roles[role]}")
        self.publish(endpoint)

    def publish(self, endpoint: str) -> None:
        """Add ``endpoint`` and this Keystone's address to the catalog, or update them."""
        keystone = self._keystone("admin")
        service = ensure(keystone, "service", SERVICE_NAME, type=self.service_type)
        point(keystone, service, endpoint)
        point(keystone, ensure(keystone, "service", "keystone", type="identity"), self.auth_url)

    def authtoken_options(self) -> dict[str, str]:
        """Return the ``[keystone_authtoken]`` section for this Keystone."""
        service = PERSONAS["service"]
        return {
            "www_authenticate_uri": self.auth_url,
            "auth_url": self.auth_url,
            "auth_type": "password",
            "username": service.username,
            "password": self._passwords["service"],
            "user_domain_id": "default",
            "project_name": service.project,
            "project_domain_id": "default",
            # Without the type in the catalog, restricted application credentials get 401.
            "service_type": self.service_type,
            "service_token_roles_required": "true",
            "interface": "internal",
            # The longest time in seconds that a revoked token is still accepted.
            "token_cache_time": "60",
        }

    def session(self, persona: str) -> ks_session.Session:
        """Return a new session that is scoped to the persona's project."""
        who = PERSONAS[persona]
        return self._session(
            v3.Password(
                self.auth_url,
                username=who.username,
                password=self._passwords[persona],
                user_domain_id="default",
                project_name=who.project,
                project_domain_id="default",
            )
        )

    def issue(self, persona: str) -> str:
        """Return a new token, by password, that is scoped to the persona's project."""
        return _required(self.session(persona).get_token())

    def revoke(self, token: str) -> None:
        """Revoke a token."""
        self._keystone("admin").delete("/auth/tokens", headers={"X-Subject-Token": token})

    def project_id(self, persona: str) -> str:
        """Return the id of the persona's project."""
        return _required(self.session(persona).get_project_id())

    def user_id(self, persona: str) -> str:
        """Return the id of the persona's user."""
        return _required(self.session(persona).get_user_id())

    def application_credential(
        self,
        persona: str,
        name: str,
        *,
        access_rules: Sequence[Mapping[str, str]] | None = None,
        roles: Sequence[str] | None = None,
        expires_at: str | None = None,
    ) -> ApplicationCredential:
        """Create a credential for the persona's project.

        Each access rule has ``service``, ``method`` and ``path``.
        """
        body: dict[str, Any] = {"name": name}
        if access_rules is not None:
            body["access_rules"] = [dict(rule) for rule in access_rules]
        if roles is not None:
            body["roles"] = [{"name": role} for role in roles]
        if expires_at is not None:
            body["expires_at"] = expires_at
        keystone = self._keystone(persona)
        path = f"/users/{keystone.get_user_id()}/application_credentials"
        made = keystone.post(path, json={"application_credential": body}).json()
        credential = made["application_credential"]
        return ApplicationCredential(credential["id"], credential["secret"])

    def delete_application_credential(
        self, persona: str, credential: ApplicationCredential
    ) -> None:
        """Delete a credential of the persona. Keystone then refuses its tokens."""
        keystone = self._keystone(persona)
        user = keystone.get_user_id()
        keystone.delete(f"/users/{user}/application_credentials/{credential.id}")

    def issue_with(self, credential: ApplicationCredential) -> str:
        """Return a new token, by application credential."""
        auth = v3.ApplicationCredential(
            self.auth_url,
            application_credential_id=credential.id,
            application_credential_secret=credential.secret,
        )
        return _required(self._session(auth).get_token())

    def write_openrc(self, path: Path, persona: str) -> None:
        """Write a shell file, mode 0600, that makes OpenStack clients act as the persona."""
        write_private(path, openrc_text(**self._login(persona)))

    def write_clouds(self, path: Path, personas: Sequence[str]) -> None:
        """Write a ``clouds.yaml``, mode 0600, with a cloud for each persona."""
        write_private(path, clouds_text({name: cloud(**self._login(name)) for name in personas}))

    def _login(self, persona: str) -> dict[str, str]:
        who = PERSONAS[persona]
        return {
            "auth_url": self.auth_url,
            "username": who.username,
            "password": self._passwords[persona],
            "project": who.project,
            "region": REGION,
            "service_type": self.service_type,
        }

    def _keystone(self, persona: str) -> adapter.Adapter:
        # Not through the catalog: after a change of port it still contains the old address.
        return adapter.Adapter(self.session(persona), endpoint_override=self.auth_url)

    def _session(self, auth: plugin.BaseAuthPlugin) -> ks_session.Session:
        http = requests.Session()
        http.trust_env = False  # no proxy and no netrc for loopback
        return ks_session.Session(auth=auth, session=http)


def _required(value: str | None) -> str:
    """Return the value. Raises AuthorizationFailure if Keystone returned none."""
    if value is None:
        raise exceptions.AuthorizationFailure("Keystone returned no token")
    return value


def ensure(
    keystone: adapter.Adapter,
    kind: str,
    name: str,
    *,
    extra: Mapping[str, str] | None = None,
    **key: str,
) -> str:
    """Return the id of the ``kind`` with this name and ``key``, created with ``extra`` if missing."""
    query = {"name": name, **key}
    found = keystone.get(f"/{kind}s", params=query).json()[f"{kind}s"]
    if not found:
        body = {kind: {**query, **(extra or {})}}
        found = [keystone.post(f"/{kind}s", json=body).json()[kind]]
    known: str = found[0]["id"]
    return known


def point(keystone: adapter.Adapter, service: str, url: str) -> None:
    """Set the public, internal and admin endpoints of the service to ``url``."""
    listed = keystone.get("/endpoints", params={"service_id": service}).json()["endpoints"]
    present = {endpoint["interface"]: endpoint for endpoint in listed}
    for interface in ("public", "internal", "admin"):
        known = present.get(interface)
        if known is None:
            new = {"service_id": service, "interface": interface, "url": url, "region_id": REGION}
            keystone.post("/endpoints", json={"endpoint": new})
        elif known["url"] != url:
            keystone.patch(f"/endpoints/{known['id']}", json={"endpoint": {"url": url}})
