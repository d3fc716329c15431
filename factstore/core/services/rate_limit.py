"""Who may come in now: a rate for each project, and a bound on what it keeps open.

It counts what one process serves; processes do not tell one another.  It knows no clock but the one it
is given, and holds nobody up itself: it says for how long.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from factstore.core.errors import Throttled
from factstore.core.model.fact import Scope
from factstore.core.model.quota import UNLIMITED
from factstore.core.ports import Clock

HOLD_SECONDS = 1.0  # the longest that a request is held up before it is refused instead
BYTES_A_UNIT = 4096  # of bodies, both ways; a large one counts as several requests
# A member that is not heard of dies, so what its sign of life counts follows from what must get
# through, not from what it costs: 10,000 members that beat every 30 seconds are 333 a second, and at a
# half they fit into the default rate of 200 with room for those that beat in step.
HEARTBEAT_UNITS = 0.5
_FORGET_ABOVE = 10_000  # rates that are remembered


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one project may take of one process; -1 leaves something unlimited.

    :param streams: watch streams open at once; *streams_per_stack* of them on one stack.
    :param waiting_requests: requests with ``wait`` under way at once.
    :param requests_per_second: in the long run, bodies counted in; for heartbeats once more.
    :param burst: how many may come at once after a pause; for heartbeats once more.
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


Kind = Literal["streams", "waiting_requests"]
_Place = tuple[str, ...]
"""Where open ones are counted: kind; kind and project; kind, project and stack."""
_Payer = tuple[str, bool]
"""Whose tokens they are: a project's, and whether they are for its heartbeats."""


@dataclass(slots=True)
class _Bucket:
    """Tokens are filled in at the project's rate up to its burst; below zero they are owed."""

    tokens: float
    at: float


class RateLimiter:
    """Rates and bounds of every project, in this process."""

    def __init__(self, allowances: Allowances, clock: Clock) -> None:
        self._allowances = allowances
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[_Payer, _Bucket] = {}
        self._open: Counter[_Place] = Counter()

    def request(self, project_id: str, body_bytes: int, *, heartbeat: bool = False) -> float:
        """Take in a request; for how many seconds to hold it up first.

        What a request costs is owed afterwards, so that a large one is never refused for its size.

        :param heartbeat: a member's sign of life.  It counts :data:`HEARTBEAT_UNITS`, and apart from
            all else that the project sends, so that no flood of that expires the project's members.
        :raises Throttled: ``rate_limited``: the project owes more than :data:`HOLD_SECONDS` of its
            rate.
        """
        allowed = self._allowances(project_id)
        if allowed.requests_per_second == UNLIMITED:
            return 0.0
        units = HEARTBEAT_UNITS if heartbeat else 1.0
        with self._lock:
            bucket = self._filled((project_id, heartbeat), allowed)
            owed = max(0.0, -bucket.tokens) / allowed.requests_per_second
            if owed > HOLD_SECONDS:
                what = "heartbeats" if heartbeat else "requests"
                raise Throttled(
                    f"the project sends more than {allowed.requests_per_second / units:g} {what} a "
                    "second; slow down, and try this one again.",
                    retry_after=math.ceil(owed),
                )
            bucket.tokens -= units + body_bytes // BYTES_A_UNIT
            return owed

    def answered(self, project_id: str, body_bytes: int, *, heartbeat: bool = False) -> None:
        """Charge an answer's body to what paid for the request."""
        units = body_bytes // BYTES_A_UNIT
        allowed = self._allowances(project_id)
        if units and allowed.requests_per_second != UNLIMITED:
            with self._lock:
                self._filled((project_id, heartbeat), allowed).tokens -= units

    def _filled(self, payer: _Payer, allowed: Allowance) -> _Bucket:
        now = self._clock.monotonic()
        bucket = self._buckets.get(payer)
        if bucket is None:
            if len(self._buckets) >= _FORGET_ABOVE:
                self._forget_full(now)
            bucket = self._buckets[payer] = _Bucket(allowed.burst, now)
        filled = bucket.tokens + (now - bucket.at) * allowed.requests_per_second
        bucket.tokens, bucket.at = min(filled, float(allowed.burst)), now
        return bucket

    def _forget_full(self, now: float) -> None:
        """Forget those who would have all their tokens again: nothing is lost by it."""
        for payer, bucket in list(self._buckets.items()):
            allowed = self._allowances(payer[0])
            if bucket.tokens + (now - bucket.at) * allowed.requests_per_second >= allowed.burst:
                del self._buckets[payer]

    def stream(self, scope: Scope) -> Callable[[], None]:
        """Count one more open stream; call what is returned when it ends, once.

        :raises Throttled: ``too_many_streams``.
        """
        allowed = self._allowances(scope.project_id)
        of_project = ("streams", scope.project_id)
        bounds = {
            of_project: allowed.streams,
            (*of_project, scope.stack): allowed.streams_per_stack,
        }
        return self._enter("streams", bounds, code="too_many_streams")

    @contextmanager
    def waiting(self, project_id: str) -> Iterator[None]:
        """Count one more waiting request, for the length of a ``with`` block.

        :raises Throttled: ``too_many_waiting``.
        """
        limit = self._allowances(project_id).waiting_requests
        bounds: dict[_Place, int] = {("waiting_requests", project_id): limit}
        leave = self._enter("waiting_requests", bounds, code="too_many_waiting")
        try:
            yield
        finally:
            leave()

    def _enter(self, kind: Kind, bounds: Mapping[_Place, int], *, code: str) -> Callable[[], None]:
        with self._lock:
            for place, limit in bounds.items():
                if limit != UNLIMITED and self._open[place] >= limit:
                    whose = "stack" if len(place) > 2 else "project"
                    raise Throttled(
                        f"the {whose} has {limit} {kind.replace('_', ' ')} open here, which is all "
                        "that it may have; end some, or share one among several readers.",
                        code=code,
                        retry_after=5,
                    )
            places = [(kind,), *bounds]
            self._open.update(places)

        def leave() -> None:
            with self._lock:
                self._open.subtract(places)
                for place in places:
                    if not self._open[place]:
                        del self._open[place]

        return leave

    def open_in(self, kind: Kind, project_id: str | None = None) -> int:
        """How many are open, of one project or of all."""
        with self._lock:
            return self._open[(kind,) if project_id is None else (kind, project_id)]
