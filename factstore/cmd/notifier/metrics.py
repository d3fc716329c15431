"""The metrics of a notifier, which name no tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from factstore.notify.notifier import NotifierStatus

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class NotifyMetrics:
    """Counts what deliveries report."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        options: dict[str, Any] = {"registry": self._registry, "namespace": "factstore_notify"}
        self._attempts = Counter(
            "attempts",
            "Attempts to deliver a message, by its kind and by the outcome: delivered, failed or gone.",
            ["kind", "outcome"],
            **options,
        )
        self._counted: dict[tuple[str, str], Counter] = {}
        self._events = Counter("events", "Events that targets have accepted.", **options)
        self._seconds = Histogram(
            "attempt_seconds",
            "Duration of attempts to deliver a message in seconds.",
            buckets=_BUCKETS,
            **options,
        )
        self._ended = Counter(
            "ended",
            "Subscriptions that were suspended, because every delivery failed for long, or disabled, "
            "because the target answered with status 410.",
            ["state"],
            **options,
        )
        for state in ("suspended", "disabled"):
            self._ended.labels(state)
        self._owned = Gauge("owned", "Subscriptions that this notifier delivers.", **options)
        self._suspended = Gauge("suspended", "Suspended subscriptions of these.", **options)
        self._lag = Gauge(
            "lag_seconds",
            "Seconds for which the oldest event has not been delivered, of these subscriptions.",
            **options,
        )

    def attempted(self, kind: str, outcome: str, seconds: float) -> None:
        """Count an attempt to deliver a message."""
        key = kind, outcome
        if key not in self._counted:  # the library takes long to find it
            self._counted[key] = self._attempts.labels(kind, outcome)
        self._counted[key].inc()
        self._seconds.observe(seconds)

    def delivered_events(self, count: int) -> None:
        """Count events that were delivered."""
        self._events.inc(count)

    def ended(self, state: str) -> None:
        """Count a subscription that was suspended or disabled."""
        self._ended.labels(state).inc()

    def exposition(self, status: Callable[[], NotifierStatus]) -> bytes:
        """Return the metrics in Prometheus' text format."""
        now = status()
        self._owned.set(now.owned)
        self._suspended.set(now.suspended)
        self._lag.set(now.lag)
        return generate_latest(self._registry)
