"""Rate limits of each project, and bounds on its open streams and waiting requests.

Each process counts for itself.  The limiter does not delay requests; it returns for how long to delay.

A request that waits, a stream and a delayed request occupy a thread or a connection of the server until
they end.  Together they are bounded, so that heartbeats and writes find a free one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from factstore.core.errors import Throttled
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.quota import UNLIMITED
from factstore.core.ports import Clock
from factstore.core.services.open_requests import DELAYED, OpenRequests, stream_keys, wait_keys
from factstore.core.short_lock import ShortLock

MAX_DELAY_SECONDS = 5.0  # a request that needs a longer delay is refused
# A body is charged by its cost for the worker, not by its length.  A request's body is parsed, checked
# and written: a batch of 100 small facts costs as much as several requests.  The text of a response
# exists already, and 64 KiB of it cost about half as much as a request.
REQUEST_BYTES_A_UNIT = 4096
RESPONSE_BYTES_A_UNIT = 65_536
# A member without heartbeats expires, so the units of a heartbeat follow from the number that must be
# accepted, not from its cost: 10,000 members with a heartbeat every 10 seconds send 1000 a second.  At
# half a unit they fit into the default rate of 1000, with room for bursts.
HEARTBEAT_UNITS = 0.5
# A worker that begins to evaluate a condition reads the facts of the stack.
COUNTED_FACTS_A_UNIT = 500
_FORGET_ABOVE = 10_000  # buckets


@quick_dataclass(frozen=True, slots=True)
class Allowance:
    """The limits of one project in one process; -1 for unlimited.

    :param streams: open watch streams; at most *streams_per_stack* on one stack.
    :param waiting_requests: concurrent requests with ``wait``.
    :param requests_per_second: the average rate, including bodies; heartbeats have the same rate of
        their own.
    :param burst: the number of requests accepted at once after a pause; heartbeats have their own.
    """

    streams: int = UNLIMITED
    streams_per_stack: int = UNLIMITED
    waiting_requests: int = UNLIMITED
    requests_per_second: float = UNLIMITED
    burst: int = 1


Allowances = Callable[[str], Allowance]
"""The allowance of a project, by its id."""


def no_allowances(project_id: str) -> Allowance:
    """Return the allowance that limits nothing."""
    return Allowance()


RequestKind = Literal["streams", "waiting_requests", "delayed_requests"]
_BucketKey = tuple[str, bool]
"""The key of a bucket: the project, and True for the bucket of its heartbeats."""


@quick_dataclass(slots=True)
class _Bucket:
    """Tokens, refilled at the project's rate up to its burst; a negative number is a debt."""

    tokens: float
    at: float


class RateLimiter:
    """The rates and bounds of every project in this process.

    :param blocking: the number of waiting requests, streams and delayed requests of all projects.
    """

    def __init__(self, allowances: Allowances, clock: Clock, *, blocking: int = UNLIMITED) -> None:
        self._allowances = allowances
        self._clock = clock
        self._lock = ShortLock()
        self._buckets: dict[_BucketKey, _Bucket] = {}
        self._open = OpenRequests(blocking)

    def request(self, project_id: str, body_bytes: int, *, heartbeat: bool = False) -> float:
        """Charge a request; return the seconds to delay it.

        The cost is charged afterwards, so that a large request is never refused for its size.

        :param heartbeat: True for a member's heartbeat.  It counts :data:`HEARTBEAT_UNITS` in a
            bucket of its own, so that a flood of other requests does not expire the members.
        :raises Throttled: ``rate_limited``: the delay would exceed :data:`MAX_DELAY_SECONDS`.
        """
        allowed = self._allowances(project_id)
        if allowed.requests_per_second == UNLIMITED:
            return 0.0
        units = HEARTBEAT_UNITS if heartbeat else 1.0
        with self._lock:
            bucket = self._filled((project_id, heartbeat), allowed)
            owed = max(0.0, -bucket.tokens) / allowed.requests_per_second
            if owed > MAX_DELAY_SECONDS:
                noun = "heartbeats" if heartbeat else "requests"
                raise Throttled(
                    f"The project sends more than {allowed.requests_per_second / units:g} {noun} a "
                    "second; send fewer, and try this request again.",
                    retry_after=math.ceil(owed),
                )
            bucket.tokens -= units + body_bytes // REQUEST_BYTES_A_UNIT
            return owed

    def request_at_once(self, project_id: str, body_bytes: int, *, heartbeat: bool = False) -> bool:
        """Charge a request, unless it has to be delayed; return True if it was charged."""
        allowed = self._allowances(project_id)
        if allowed.requests_per_second == UNLIMITED:
            return True
        with self._lock:
            bucket = self._filled((project_id, heartbeat), allowed)
            if bucket.tokens < 0:
                return False
            units = HEARTBEAT_UNITS if heartbeat else 1.0
            bucket.tokens -= units + body_bytes // REQUEST_BYTES_A_UNIT
            return True

    def cancel(self, project_id: str, body_bytes: int, *, heartbeat: bool = False) -> None:
        """Return what :meth:`request_at_once` has charged for a request that will be charged again."""
        allowed = self._allowances(project_id)
        if allowed.requests_per_second != UNLIMITED:
            units = HEARTBEAT_UNITS if heartbeat else 1.0
            with self._lock:
                bucket = self._filled((project_id, heartbeat), allowed)
                bucket.tokens += units + body_bytes // REQUEST_BYTES_A_UNIT

    def answered(self, project_id: str, body_bytes: int, *, heartbeat: bool = False) -> None:
        """Charge the body of a response."""
        units = body_bytes // RESPONSE_BYTES_A_UNIT
        if not units:
            return
        allowed = self._allowances(project_id)
        if allowed.requests_per_second != UNLIMITED:
            with self._lock:
                self._filled((project_id, heartbeat), allowed).tokens -= units

    def counted(self, project_id: str, facts: int) -> None:
        """Charge the facts that new conditions count, each for every condition."""
        units = facts // COUNTED_FACTS_A_UNIT
        allowed = self._allowances(project_id)
        if units and allowed.requests_per_second != UNLIMITED:
            with self._lock:
                self._filled((project_id, False), allowed).tokens -= units

    def _filled(self, key: _BucketKey, allowed: Allowance) -> _Bucket:
        now = self._clock.monotonic()
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= _FORGET_ABOVE:
                self._forget_full(now)
            bucket = self._buckets[key] = _Bucket(allowed.burst, now)
        filled = bucket.tokens + (now - bucket.at) * allowed.requests_per_second
        bucket.tokens, bucket.at = min(filled, float(allowed.burst)), now
        return bucket

    def _forget_full(self, now: float) -> None:
        """Delete the buckets that would be full by now, which changes no result."""
        for key, bucket in list(self._buckets.items()):
            allowed = self._allowances(key[0])
            if bucket.tokens + (now - bucket.at) * allowed.requests_per_second >= allowed.burst:
                del self._buckets[key]

    def stream(
        self, project_id: str, stack: str | None = None, *, patterns: int = 0
    ) -> Callable[[], None]:
        """Count one more open stream; return a function to call once when it ends.

        :param stack: None for a stream of many stacks.
        :param patterns: the number of patterns that select these.
        :raises Throttled: ``too_many_streams`` or ``worker_busy``.
        """
        allowed = self._allowances(project_id)
        keys = stream_keys(project_id, stack)
        limits = UNLIMITED, allowed.streams, allowed.streams_per_stack
        return self._open.enter(
            keys,
            limits[: len(keys)],
            code="too_many_streams",
            project_id=project_id,
            patterns=patterns,
        )

    @contextmanager
    def waiting(self, project_id: str, patterns: int = 0) -> Iterator[None]:
        """Count one more waiting request for the duration of a ``with`` block.

        :param patterns: the number of patterns that select the stacks of the request.
        :raises Throttled: ``too_many_waiting`` or ``worker_busy``.
        """
        leave = self.begin_wait(project_id, patterns)
        try:
            yield
        finally:
            leave()

    def begin_wait(self, project_id: str, patterns: int = 0) -> Callable[[], None]:
        """Count one more waiting request; return a function to call once when it ends.

        :raises Throttled: ``too_many_waiting`` or ``worker_busy``.
        """
        limits = UNLIMITED, self._allowances(project_id).waiting_requests
        keys = wait_keys(project_id)
        return self._open.enter(
            keys, limits, code="too_many_waiting", project_id=project_id, patterns=patterns
        )

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """Count one more delayed request for the duration of a ``with`` block.

        :raises Throttled: ``worker_busy``.
        """
        leave = self.begin_delay()
        try:
            yield
        finally:
            leave()

    def begin_delay(self) -> Callable[[], None]:
        """Count one more delayed request; return a function to call once when it continues.

        :raises Throttled: ``worker_busy``.
        """
        return self._open.enter(DELAYED, (UNLIMITED,))

    def open_in(self, kind: RequestKind, project_id: str | None = None) -> int:
        """Return the number of open ones, of one project or of all."""
        return self._open.count((kind,) if project_id is None else (kind, project_id))
