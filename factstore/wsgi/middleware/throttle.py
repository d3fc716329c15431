"""Holding up, and then refusing, projects that send more than their rate.

It stands behind the gate, which knows the project, and before the application, so that a refusal
costs next to nothing.  A refusal is held up as well: who sends the next request as soon as the last
one is answered, and does not heed ``Retry-After``, still costs others little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from factstore.api.errors import error_headers
from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.core.errors import Throttled
from factstore.core.services.rate_limit import HOLD_SECONDS, RateLimiter
from factstore.wsgi.middleware.problem import problem

_HEARTBEAT = re.compile(r"/v1/stacks/[^/]+/members/[^/]+/heartbeat")


class Throttle:
    """Admits a project's requests at its rate.

    :param pause: waits for some seconds; on a server of greenlets it holds up nobody else.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        admission: RateLimiter,
        pause: Callable[[float], None],
    ) -> None:
        self._app = app
        self._admission = admission
        self._pause = pause

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Hand the request on, at once or later, or refuse it."""
        identity: Identity | None = environ.get(ENVIRON_KEY)
        if identity is None:  # discovery
            return self._app(environ, start_response)
        project_id = identity.project_id
        beats = is_heartbeat(environ)
        length = _length(environ.get("CONTENT_LENGTH"))
        try:
            held = self._admission.request(project_id, length, heartbeat=beats)
        except Throttled as error:
            self._pause(HOLD_SECONDS)
            refuse = problem(
                error.code,
                error.detail,
                environ.get("openstack.request_id", ""),
                extra=error.extra,
                headers=error_headers(error),
            )
            return refuse(environ, start_response)
        if held:
            self._pause(held)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            length = next((value for name, value in headers if name == "Content-Length"), None)
            self._admission.answered(project_id, _length(length), heartbeat=beats)
            return start_response(status, headers, *error)

        return self._app(environ, start)


def is_heartbeat(environ: Mapping[str, Any]) -> bool:
    """Whether a request is a member's sign of life, which is counted apart.

    There is no route to ask yet: who is refused is not to cost a look at the URL table.
    """
    if environ["REQUEST_METHOD"] != "POST":
        return False
    return _HEARTBEAT.fullmatch(environ.get("PATH_INFO", "")) is not None


def _length(header: str | None) -> int:
    return int(header) if header and header.isascii() and header.isdigit() else 0
