"""An id for every request, as oslo.middleware's RequestId gives it, without wrapping the response.

That one makes a WebOb request and response of everything that passes, which costs a twentieth of a
write and 4 KiB for every watcher.  The environment and the header are the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from oslo_context.context import generate_request_id

HEADER = "X-Openstack-Request-Id"
_GLOBAL = re.compile(r"req-[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}")


def new() -> str:
    """An id that no other request has."""
    return str(generate_request_id())


class RequestId:
    """Names each request in its environment and in its answer.

    An id that a caller sends is noted as the global one, for logs; it never becomes our own.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Hand the request on."""
        request_id = environ["openstack.request_id"] = new()
        sent = environ.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
        if _GLOBAL.fullmatch(sent):
            environ["openstack.global_request_id"] = sent

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, [*headers, (HEADER, request_id)], *error)

        return self._app(environ, start)
