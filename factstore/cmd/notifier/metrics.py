"""The metrics of a notifier, which name no tenant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from factstore.notify.notifier import NotifierStatus
from factstore.wsgi.middleware.tally import Tally

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _new_tallies() -> defaultdict[tuple[str, str], Tally]:
    return defaultdict(lambda: Tally(_BUCKETS))


class NotifyMetrics:
    """Counts what deliveries report."""

    def __init__(self) -> None:
        self._tallies = _new_tallies()
        self._delivered = 0
        self._registry = CollectorRegistry()
        options: dict[str, Any] = {"registry": self._registry, "namespace": "factstore_notify"}
        self._attempts = Counter(
            "attempts",
            "Attempts to deliver a message, by its kind and by the outcome: delivered, failed or gone.",
            ["kind", "outcome"],
            **options,
        )
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
        self._tallies[kind, outcome].add(0, seconds)

    def delivered_events(self, count: int) -> None:
        """Count events that were delivered."""
        self._delivered += count

    def ended(self, state: str) -> None:
        """Count a subscription that was suspended or disabled."""
        self._ended.labels(state).inc()

    def exposition(self, status: Callable[[], NotifierStatus]) -> bytes:
        """Return the metrics in Prometheus' text format."""
        tallies, self._tallies = self._tallies, _new_tallies()
        for (kind, outcome), tally in tallies.items():
            self._attempts.labels(kind, outcome).inc(tally.count)
            tally.publish(self._seconds)
        self._events.inc(self._delivered)
        self._delivered = 0
        now = status()
        self._owned.set(now.owned)
        self._suspended.set(now.suspended)
        self._lag.set(now.lag)
        return generate_latest(self._registry)
