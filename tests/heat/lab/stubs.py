"""The parts of Glance and Nova that a launch configuration needs: an image and a flavor named "0".

Heat checks both although nothing is launched.  One thread of this process serves them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from keystoneauth1 import adapter

from factstore.cmd.processes.accounts import Accounts, ensure, point
from factstore.cmd.processes.ports import LOOPBACK

_IMAGE = {"id": "0", "name": "0", "status": "active", "visibility": "public"}
_VERSION = {"id": "v2.1", "status": "CURRENT", "version": "2.1", "min_version": "2.1", "links": []}
_ANSWERS: dict[str, Any] = {
    "/image/v2/images": {"images": [_IMAGE]},
    "/image/v2/schemas/image": {"name": "image", "properties": {"id": {"type": "string"}}},
    "/compute/v2.1": {"version": _VERSION},
    "/compute": {"versions": [_VERSION]},
    "/compute/v2.1/flavors/0": {"flavor": {"id": "0", "name": "0", "links": []}},
}


class Stubs:
    """The server; it runs inside the context."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer((LOOPBACK, 0), _Handler)
        self._withdraw: list[Callable[[], object]] = []

    def provision(self, accounts: Accounts) -> None:
        """Put both services in the catalogue, until the context ends."""
        keystone = adapter.Adapter(accounts.session("admin"), endpoint_override=accounts.auth_url)
        for kind, path in (("image", "image"), ("compute", "compute/v2.1")):
            url = f"http://{LOOPBACK}:{self._server.server_port}/{path}"
            service = ensure(keystone, "service", f"stub-{kind}", type=kind)
            point(keystone, service, url)
            self._withdraw.append(partial(keystone.delete, f"/services/{service}"))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for withdraw in self._withdraw:
            withdraw()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer from the table; what is not in it is not found."""
        found = _ANSWERS.get(urlsplit(self.path).path.rstrip("/"))
        body = json.dumps(found if found is not None else {"itemNotFound": {}}).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Log nothing."""
