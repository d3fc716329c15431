"""The rate limits of projects, and the queue of the requests of each.

The throttle is behind authentication, which determines the project, and in front of the application, so
that a refusal costs little.  Refusals are delayed as well, to slow down clients that ignore
``Retry-After`` and repeat the request at once.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from factstore.api.errors import error_headers
from factstore.api.identity import ENVIRON_KEY, Identity
from factstore.core.errors import Throttled
from factstore.core.model.fact import Scope
from factstore.core.operations.running_writes import RunningWrites
from factstore.core.services.rate_limit import MAX_DELAY_SECONDS, RateLimiter
from factstore.wsgi.fair_queue import Flow
from factstore.wsgi.middleware.problem import problem
from factstore.wsgi.scheduler import Scheduler

REFUSAL_SECONDS = 1.0  # the delay of a refusal

_HEARTBEAT = re.compile(r"/v1/stacks/[^/]+/members/[^/]+/heartbeat")
_IN_STACK = re.compile(r"/v1/stacks/([^/]+)(?:/.*)?", re.DOTALL)
_READS = frozenset(("GET", "HEAD", "OPTIONS"))


class Throttle:
    """Delays requests that exceed the rate of their project or wait for others; refuses the rest.

    :param running: the writes of this worker; those that wait here count as running.
    """

    def __init__(
        self,
        app: WSGIApplication,
        rate_limiter: RateLimiter,
        scheduler: Scheduler,
        running: RunningWrites,
    ) -> None:
        self._app = app
        self._rate_limiter = rate_limiter
        self._scheduler = scheduler
        self._running = running

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, at once or after a delay, or answer 429."""
        identity: Identity | None = environ.get(ENVIRON_KEY)
        if identity is None:  # a public path
            return self._app(environ, start_response)
        project_id = identity.project_id
        heartbeat = is_heartbeat(environ)
        flow = (project_id, heartbeat)
        length = _length(environ.get("CONTENT_LENGTH"))
        try:
            with self._noted(environ, flow):
                self._wait(flow, length)
        except Throttled as error:
            self._slow_down()
            refuse = problem(
                error.code,
                error.detail,
                environ.get("openstack.request_id", ""),
                extra=error.extra,
                headers=error_headers(error),
            )
            return refuse(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            length = next((value for name, value in headers if name == "Content-Length"), None)
            self._rate_limiter.answered(project_id, _length(length), heartbeat=heartbeat)
            return start_response(status, headers, *exc_info)

        return self._app(environ, start)

    def _noted(
        self, environ: WSGIEnvironment, flow: Flow
    ) -> contextlib.AbstractContextManager[None]:
        """Note a write while it waits: its stack is not quiet, although nothing changes there."""
        project_id, heartbeat = flow
        if heartbeat or environ["REQUEST_METHOD"] in _READS:
            return contextlib.nullcontext()
        found = _IN_STACK.fullmatch(environ.get("PATH_INFO", ""))
        if found is None:
            return contextlib.nullcontext()
        return self._running.running(Scope(project_id, found[1]))

    def _wait(self, flow: Flow, length: int) -> None:
        """Wait until it is the turn of a request; raise Throttled if that would take too long."""
        project_id, heartbeat = flow
        self._check_queue(flow)
        delay = self._rate_limiter.request(project_id, length, heartbeat=heartbeat)
        if delay:
            self._delay(delay, flow, length)
        self._scheduler.start(flow)

    def _delay(self, seconds: float, flow: Flow, length: int) -> None:
        """Delay a request that has been charged; raise Throttled if too many requests wait already."""
        try:
            with self._rate_limiter.delayed():
                self._scheduler.sleep(seconds)
        except Throttled:
            project_id, heartbeat = flow
            self._rate_limiter.cancel(project_id, length, heartbeat=heartbeat)
            raise

    def _slow_down(self) -> None:
        """Delay a refusal, unless too many requests wait already."""
        with contextlib.suppress(Throttled), self._rate_limiter.delayed():
            self._scheduler.sleep(REFUSAL_SECONDS)

    def _check_queue(self, flow: Flow) -> None:
        """Raise Throttled if the requests of a flow already wait for too long."""
        age = self._scheduler.age(flow)
        if age > MAX_DELAY_SECONDS:
            raise Throttled(
                f"Earlier requests of the project have waited for {age:.0f} seconds in this worker; "
                "send fewer, and try this request again.",
                retry_after=math.ceil(age),
            )


def is_heartbeat(environ: Mapping[str, Any]) -> bool:
    """Return True if a request is a member's heartbeat, which has a rate of its own.

    It compares the path itself, because a refused request must not cost a routing.
    """
    if environ["REQUEST_METHOD"] != "POST":
        return False
    return _HEARTBEAT.fullmatch(environ.get("PATH_INFO", "")) is not None


def _length(header: str | None) -> int:
    return int(header) if header and header.isascii() and header.isdigit() else 0
