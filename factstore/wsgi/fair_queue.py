"""A fair queue: projects share the time of a worker, however many requests each of them sends.

A worker does one thing at a time, and a request needs it several times: to be started, and again each
time that it has waited for etcd or for a change.  Each time, it joins the queue of its flow.  A round
serves the queue of each flow for a slice of time, in the order of arrival, and then returns to the
server, which reads the requests that have arrived meanwhile.  So a request waits behind earlier ones of
its own flow, and for at most one slice of each other flow.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from factstore.core.ports import Clock
from factstore.core.standstill import Standstills

SLICE_SECONDS = 0.0005  # about the time of a write, or of half a dozen that need no greenlet
# Requests that run together share reads and transactions of etcd, so short slices cost a tenth or more
# of the throughput.  While one project uses the worker alone, nobody waits for the end of its slice.
LONE_SLICE_SECONDS = 0.05
SHARED_SECONDS = 10.0  # for which slices remain short after a request of another project

Flow = tuple[str, bool]
"""A project, and True for its heartbeats, which do not wait behind its other requests."""

Schedule = Callable[[Callable[[], None]], None]
"""Calls a function once, after the server has read the requests that have arrived."""


class FairQueue:
    """The requests that wait for their share of a worker's time."""

    def __init__(self, clock: Clock, schedule: Schedule) -> None:
        self._clock = clock
        self._schedule = schedule
        # The flows that were served in this round, and the instants at which their requests joined.
        self._flows: dict[Flow, deque[tuple[Callable[[], object], float]]] = {}
        self._project = ""  # the project that was served last
        self._shared_until = -math.inf
        self._standstills = Standstills(clock.monotonic())
        self._stood_still = 0.0  # seconds

    def join(self, flow: Flow, run: Callable[[], object]) -> bool:
        """Add a request to the queue of its flow; return False if it does not have to wait.

        :param run: called when it is the request's turn; serves it until it waits again or ends.
        """
        self.note(flow[0])
        waiting = self._flows.get(flow)
        if waiting is not None:
            waiting.append((run, self._time(self._clock.monotonic())))
            return True
        if not self._flows:
            self._schedule(self._serve)
        self._flows[flow] = deque()
        return False

    def note(self, project_id: str) -> None:
        """Note that a project has sent a request."""
        if project_id != self._project:
            if self._project:
                self._shared_until = self._clock.monotonic() + SHARED_SECONDS
            self._project = project_id

    @property
    def shared(self) -> bool:
        """True while several projects use the worker."""
        return self._clock.monotonic() < self._shared_until

    def join_shared(self, flow: Flow, run: Callable[[], object]) -> bool:
        """Do as :meth:`join`, unless one project uses the worker alone: then it does not wait."""
        if flow[0] != self._project:
            self.note(flow[0])
        if flow not in self._flows and self._clock.monotonic() >= self._shared_until:
            return False
        return self.join(flow, run)

    def age(self, flow: Flow) -> float:
        """Return the seconds for which the first request of a flow's queue has waited.

        The time in which the process stood still, such as that of a paused machine, does not count.
        """
        waiting = self._flows.get(flow)
        return self._time(self._clock.monotonic()) - waiting[0][1] if waiting else 0.0

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._flows.values())

    def _time(self, now: float) -> float:
        """Return the present on a clock that stops while the process stands still."""
        self._stood_still += self._standstills.measure(now)
        return now - self._stood_still

    def _serve(self) -> None:
        """Serve one round."""
        slice_seconds = SLICE_SECONDS if self.shared else LONE_SLICE_SECONDS
        now = self._clock.monotonic()
        self._time(now)
        for flow, waiting in list(self._flows.items()):
            if not waiting:
                del self._flows[flow]
                continue
            end = now + slice_seconds
            while waiting and now < end:
                run, _ = waiting.popleft()
                run()
                now = self._clock.monotonic()
            self._time(now)  # a round of many flows is long, and no standstill
        if self._flows:
            self._schedule(self._serve)
