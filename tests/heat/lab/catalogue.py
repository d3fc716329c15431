"""The endpoints of a service in Keystone's catalog, for tests that change them."""

from __future__ import annotations

from keystoneauth1 import adapter

from factstore import SERVICE_TYPE
from factstore.cmd.processes.accounts import SERVICE_NAME, Accounts, ensure


class Catalogue:
    """The endpoints of factstore or of another service."""

    def __init__(
        self, accounts: Accounts, name: str = SERVICE_NAME, kind: str = SERVICE_TYPE
    ) -> None:
        self._keystone = adapter.Adapter(
            accounts.session("admin"), endpoint_override=accounts.auth_url
        )
        service = ensure(self._keystone, "service", name, type=kind)
        listed = self._keystone.get("/endpoints", params={"service_id": service}).json()
        self._known = listed["endpoints"]

    def point(self, interface: str, url: str) -> None:
        """Move one of them."""
        for endpoint in self._known:
            if endpoint["interface"] == interface:
                self._patch(endpoint["id"], url=url)

    def enable(self, enabled: bool) -> None:
        """Enable or disable all of them."""
        for endpoint in self._known:
            self._patch(endpoint["id"], enabled=enabled)

    def restore(self) -> None:
        """Restore all of them."""
        for endpoint in self._known:
            self._patch(endpoint["id"], url=endpoint["url"], enabled=endpoint["enabled"])

    def _patch(self, identifier: str, **changes: str | bool) -> None:
        self._keystone.patch(f"/endpoints/{identifier}", json={"endpoint": changes})
