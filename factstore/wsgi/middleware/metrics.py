"""What Prometheus reads: counts and times of this service, never of a tenant.

No label names a project, a stack or a path: they would tell tenants' business to whoever may scrape,
and grow without bound.  With several workers the numbers lie in files that all of them share (see
:mod:`factstore.wsgi.ops.multiprocess_metrics`), so that any worker answers for all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

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
from factstore.wsgi.ops.multiprocess_metrics import VARIABLE

UNROUTED = "none"
"""The route of what was refused before one was found: no token, no such path, too many requests."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_EACH_WORKER = {
    "streams": "Watch streams that are open.",
    "waiting_requests": "Requests with wait that are under way.",
    "hub_events": "Recent events held for watchers that resume.",
    "hub_bytes": "About how many bytes these events take.",
    "ready": "Workers that have read the store.",
}
_SAME_IN_ALL = {
    "stacks": "Stacks, as the worker knows that knows the most.",
    "facts": "Facts, likewise.",
    "bytes": "Bytes of paths and canonical values, likewise.",
    "members": "Members that live, likewise.",
    "waiters_pending": "Waiters that came to nothing yet, likewise.",
    "revision": "The newest revision that a worker has seen.",
}

Wsgi = Callable[..., Iterable[bytes]]


class Metrics:
    """The numbers of this process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self._registry, "namespace": "factstore"}
        self._requests = Counter(
            "requests", "Requests answered.", ["method", "route", "status"], **made
        )
        self._seconds = Histogram(
            "request_seconds",
            "From a request's arrival to the head of its answer; without those that were to wait.",
            ["method", "route"],
            buckets=_SECONDS,
            **made,
        )
        self._etcd = Histogram(
            "etcd_seconds",
            "Calls to etcd, failed ones included.",
            ["call"],
            buckets=(0.0005, *_SECONDS),
            **made,
        )
        self._lag = Histogram(
            "watch_lag_seconds",
            "From etcd's answer to a write until this worker's own watch has told of it.",
            buckets=(0.0005, *_SECONDS),
            **made,
        )
        self._gauges = {
            name: Gauge(name, text, multiprocess_mode="livesum", **made)
            for name, text in _EACH_WORKER.items()
        } | {
            name: Gauge(name, text, multiprocess_mode="livemax", **made)
            for name, text in _SAME_IN_ALL.items()
        }

    def answered(self, environ: Mapping[str, Any], status: str, seconds: float) -> None:
        """Count a request by what the application noted of it."""
        route = environ.get(ROUTE, UNROUTED)
        # Anybody may invent a method; one that has a route is one of ours.
        method = environ["REQUEST_METHOD"] if route != UNROUTED else UNROUTED
        self._requests.labels(method, route, status[:3]).inc()
        if WAITED not in environ:
            self._seconds.labels(method, route).observe(seconds)

    def called_etcd(self, call: str, seconds: float) -> None:
        """Note a call to etcd."""
        self._etcd.labels(call).observe(seconds)

    def lagged(self, seconds: float) -> None:
        """Note how long the watch took to tell of a write."""
        self._lag.observe(seconds)

    def set(self, values: Mapping[str, int]) -> None:
        """Note how many there are now, by the names of the gauges."""
        for name, value in values.items():
            self._gauges[name].set(value)

    def text(self) -> bytes:
        """All numbers, of all workers that share them, in Prometheus' format."""
        registry = self._registry
        if VARIABLE in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class Measured:
    """Counts what passes, and how long it took to its first byte."""

    def __init__(self, app: Wsgi, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Hand the request on."""
        began = time.perf_counter()

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            self._metrics.answered(environ, status, time.perf_counter() - began)
            return start_response(status, headers, *error)

        return self._app(environ, start)


class Exposition:
    """Answers a scrape.

    :param now: the gauges of this worker, at this moment; other workers note theirs now and then.
    """

    def __init__(self, metrics: Metrics, now: Callable[[], Mapping[str, int]]) -> None:
        self._metrics = metrics
        self._now = now

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """All numbers as text."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response(
                "405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Length", "0")]
            )
            return []
        self._metrics.set(self._now())
        body = self._metrics.text()
        headers = [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body] if environ["REQUEST_METHOD"] == "GET" else []
