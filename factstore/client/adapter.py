"""The keystoneauth adapter: finds the service and requests the API version."""

from __future__ import annotations

from typing import Any

import requests
from keystoneauth1 import adapter

SERVICE_TYPE = "contextualization"
MICROVERSION = "1.0"


class Adapter(adapter.Adapter):
    """An adapter for factstore.

    URLs begin with ``/v1``.  The endpoint is the root URL of the service; it may also end with ``/v1``.
    """

    def request(self, url: str, method: str, **kwargs: Any) -> requests.Response:
        """Send one request; see :meth:`keystoneauth1.session.Session.request`."""
        endpoint = self.get_endpoint()
        if endpoint is not None and endpoint.rstrip("/").endswith("/v1"):
            url = url.removeprefix("/v1")
        return super().request(url, method, **kwargs)
