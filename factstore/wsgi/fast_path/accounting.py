"""The costs of each call for its project, and the counts of the metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping

from factstore.core.services.rate_limit import RateLimiter
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.http_response import Answer, Rendered
from factstore.wsgi.fast_path.stream_answer import StreamAnswer, StreamStart
from factstore.wsgi.middleware.metrics import Metrics

CLIENT_GONE = 499  # counted, not sent


class Accounting:
    """Charges and counts the calls of the fast path.

    :param routes: the path templates by the nouns of requests.
    """

    def __init__(
        self, rate_limiter: RateLimiter, metrics: Metrics, routes: Mapping[str, str]
    ) -> None:
        self._rate_limiter = rate_limiter
        self._metrics = metrics
        self._routes = routes

    def charge(self, call: Call) -> bool:
        """Charge a call to its project; return False if it has to be delayed."""
        project_id, heartbeat = call.flow
        size = len(call.request.body)
        return self._rate_limiter.request_at_once(project_id, size, heartbeat=heartbeat)

    def cancel(self, call: Call) -> None:
        """Take back the charge of a call that is carried out in another way."""
        project_id, heartbeat = call.flow
        self._rate_limiter.cancel(project_id, len(call.request.body), heartbeat=heartbeat)

    def count(self, call: Call, answer: Answer | Rendered | StreamAnswer | StreamStart) -> None:
        """Charge the response to a call, and count the call."""
        if answer.size:
            project_id, heartbeat = call.flow
            self._rate_limiter.answered(project_id, answer.size, heartbeat=heartbeat)
        seconds = None if answer.waited else time.monotonic() - call.began
        request, route = call.request, self._routes[call.request.noun]
        self._metrics.observe(request.method, route, answer.status, answer.size, seconds)

    def count_gone(self, call: Call) -> None:
        """Count a call whose client has gone."""
        request = call.request
        self._metrics.observe(request.method, self._routes[request.noun], CLIENT_GONE, 0, None)
