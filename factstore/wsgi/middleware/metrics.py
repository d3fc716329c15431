"""Metrics for Prometheus: counts and times of this service, without data of tenants.

No label names a project, a stack or a path: they would disclose tenants' data to every scraper, and
their number has no bound.  Several workers keep the metrics in shared files (see
:mod:`factstore.wsgi.ops.multiprocess_metrics`), so that any worker can answer a scrape for all of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from factstore.api.services import ROUTE, WAITED
from factstore.core.short_lock import ShortLock
from factstore.wsgi.client_gone import ClientGone
from factstore.wsgi.middleware.tally import Tally
from factstore.wsgi.ops.multiprocess_metrics import VARIABLE

CLIENT_GONE = "499 Client Closed Request"  # as nginx counts them; nobody reads this response
CLOSED_REASONS = ("hung_up", "read_timeout", "write_timeout", "idle")
NO_ROUTE = "none"
"""The route of requests that were refused before routing or match no route."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_ETCD_BUCKETS = (0.0005, *_BUCKETS)
_LAGS = 10_000  # that wait to be tallied; an append needs no lock, and there is one for each write
PUBLISH_SECONDS = 0.25
"""After which other workers can read what was tallied."""

# Summed over the workers.
_WORKER_GAUGES = {
    "streams": "Open watch streams.",
    "waiting_requests": "Requests with wait in progress.",
    "queued_requests": "Requests that wait for earlier requests of their project.",
    "connections": "Open connections.",
    "body_bytes": "Bytes of the bodies of the requests that are received or carried out.",
    "hub_events": "Recent events kept for watchers that resume.",
    "hub_bytes": "Approximate size of these events in bytes.",
    "hub_stacks": "Stacks of which such events are kept.",
    "ready": "Workers that have read the store.",
}
# Every worker has the whole store in memory, so the newest state has the largest numbers.
_STORE_GAUGES = {
    "stacks": "Stacks. The largest number reported by any worker.",
    "facts": "Facts. The largest number reported by any worker.",
    "bytes": "Bytes of paths and canonical values. The largest number reported by any worker.",
    "members": "Members of all stacks. The largest number reported by any worker.",
    "hub_largest_stack_bytes": "Approximate size of the recent events of the stack with most of them. "
    "The largest number reported by any worker.",
    "waiters_pending": "Pending waiters. The largest number reported by any worker.",
    "stuck_stacks": "Stacks that are reported as stuck. The largest number reported by any worker.",
    "faults": "Waiters, alarms and other parts of stacks that a worker has stopped to evaluate "
    "because of an error. The largest number reported by any worker.",
    "revision": "Newest revision that any worker has read.",
}


class Metrics:
    """The metrics of this process."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, int], Tally] = {}
        self._call_tallies: dict[str, Tally] = {}
        self._lag_tally = Tally(_ETCD_BUCKETS)
        self._lags: list[float] = []  # to tally
        self._lock = ShortLock()
        self._registry = CollectorRegistry()
        options: dict[str, Any] = {"registry": self._registry, "namespace": "factstore"}
        self._requests = Counter(
            "requests", "Answered requests.", ["method", "route", "status"], **options
        )
        self._fast_path_requests = Counter(
            "fast_path_requests",
            "Requests of these that the fast path answered, without the layers of the framework.",
            **options,
        )
        self._request_seconds = Histogram(
            "request_seconds",
            "Seconds from the arrival of a request to the headers of its response. Requests with wait "
            "are not counted.",
            ["method", "route"],
            buckets=_BUCKETS,
            **options,
        )
        self._etcd_seconds = Histogram(
            "etcd_seconds",
            "Duration of calls to etcd in seconds, including failed calls.",
            ["call"],
            buckets=_ETCD_BUCKETS,
            **options,
        )
        self._watch_lag_seconds = Histogram(
            "watch_lag_seconds",
            "Seconds from etcd's response to a write until this worker's watch delivers the change.",
            buckets=_ETCD_BUCKETS,
            **options,
        )
        self._response_bytes = Counter(
            "response_bytes",
            "Bytes of the bodies of responses, without those of streams.",
            **options,
        )
        self._closed_connections = Counter(
            "closed_connections",
            "Connections that the worker closed: hung_up for a client that left before its response "
            "or stream ended, read_timeout for a request of which no more arrived, write_timeout for a "
            "client that read nothing, idle for a connection without requests.",
            ["reason"],
            **options,
        )
        for reason in CLOSED_REASONS:
            self._closed_connections.labels(reason)
        self._write_retries = Counter(
            "write_retries",
            "Attempts to write that etcd refused because other workers had changed the same data. The "
            "write is then planned again.",
            **options,
        )
        self._gauges = {
            name: Gauge(name, text, multiprocess_mode="livesum", **options)
            for name, text in _WORKER_GAUGES.items()
        } | {
            name: Gauge(name, text, multiprocess_mode="livemax", **options)
            for name, text in _STORE_GAUGES.items()
        }

    def observe_request(
        self, environ: Mapping[str, Any], status: str, length: str | None, seconds: float
    ) -> None:
        """Count a request by the route that the application stored in the environment.

        :param length: the ``Content-Length`` of the response; None for a stream.
        """
        route = environ.get(ROUTE, NO_ROUTE)
        # A client can send any method; only those of a route are known to be few.
        method = environ["REQUEST_METHOD"] if route != NO_ROUTE else NO_ROUTE
        self._requests.labels(method, route, status[:3]).inc()
        if length:
            self._response_bytes.inc(int(length))
        if WAITED not in environ:
            self._request_seconds.labels(method, route).observe(seconds)

    def observe(
        self, method: str, route: str, status: int, length: int, seconds: float | None
    ) -> None:
        """Count a request that the fast path answered.

        :param length: the number of bytes of the response's body.
        :param seconds: None if the request has waited.
        """
        key = method, route, status
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(_BUCKETS)
        tally.add(length, seconds)

    def observe_etcd_call(self, call: str, seconds: float) -> None:
        """Record the duration of a call to etcd."""
        with self._lock:  # calls are made by several threads
            tally = self._call_tallies.get(call)
            if tally is None:
                tally = self._call_tallies[call] = Tally(_ETCD_BUCKETS)
            tally.add(0, seconds)

    def publish(self) -> None:
        """Add the requests and calls that were tallied since the last call to the metrics."""
        tallies, self._tallies = self._tallies, {}
        for (method, route, status), tally in tallies.items():
            self._requests.labels(method, route, str(status)).inc(tally.count)
            self._fast_path_requests.inc(tally.count)
            self._response_bytes.inc(tally.size)
            tally.publish(self._request_seconds.labels(method, route))
        self._tally_lags()
        with self._lock:
            calls, self._call_tallies = self._call_tallies, {}
            lags, self._lag_tally = self._lag_tally, Tally(_ETCD_BUCKETS)
        for call, tally in calls.items():
            tally.publish(self._etcd_seconds.labels(call))
        lags.publish(self._watch_lag_seconds)

    def observe_lag(self, seconds: float) -> None:
        """Record how long the watch took to deliver a write."""
        self._lags.append(seconds)
        if len(self._lags) >= _LAGS:
            self._tally_lags()

    def _tally_lags(self) -> None:
        with self._lock:
            lags, self._lags = self._lags, []
            for seconds in lags:
                self._lag_tally.add(0, seconds)

    def count_write_retry(self) -> None:
        """Count an attempt to write that has to be repeated."""
        self._write_retries.inc()

    def count_closed_connection(self, reason: str) -> None:
        """Count a connection that was closed for one of :data:`CLOSED_REASONS`."""
        self._closed_connections.labels(reason).inc()

    def set_gauges(self, values: Mapping[str, int]) -> None:
        """Set gauges by name."""
        for name, value in values.items():
            self._gauges[name].set(value)

    def exposition(self) -> bytes:
        """Return the metrics of all workers in Prometheus' text format."""
        self.publish()
        registry = self._registry
        if VARIABLE in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class MetricsMiddleware:
    """Counts requests and measures the time to the headers of their answers."""

    def __init__(self, app: WSGIApplication, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on."""
        arrived = time.perf_counter()

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            length = next((value for name, value in headers if name == "Content-Length"), None)
            seconds = time.perf_counter() - arrived
            self._metrics.observe_request(environ, status, length, seconds)
            return start_response(status, headers, *exc_info)

        try:
            return self._app(environ, start)
        except ClientGone:
            start(CLIENT_GONE, [("Content-Length", "0")])
            return []


class MetricsEndpoint:
    """Answers scrapes.

    :param gauges: returns this worker's current gauges; other workers set theirs periodically.
    """

    def __init__(self, metrics: Metrics, gauges: Callable[[], Mapping[str, int]]) -> None:
        self._metrics = metrics
        self._gauges = gauges

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer GET and HEAD with all metrics."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response(
                "405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Length", "0")]
            )
            return []
        self._metrics.set_gauges(self._gauges())
        body = self._metrics.exposition()
        headers = [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body] if environ["REQUEST_METHOD"] == "GET" else []
