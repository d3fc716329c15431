"""Requests that wait in gevent's loop, on a clock that the test moves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

from factstore.core.model.fact import Scope
from factstore.wsgi.clock import SystemClock
from factstore.wsgi.fast_path.fast_path import FastPath, Response
from factstore.wsgi.scheduler import ThreadScheduler
from tests.contract.world import PROJECT, Worker
from tests.eventually import eventually
from tests.raw_http import request_bytes
from tests.unit.wsgi.fast_requests import OWNER, read, status

SCOPE = Scope(PROJECT, "s")


LONG = 1000.0  # of time-outs, which are not to pass while the clock stands still


class StillClock(SystemClock):
    """A clock that begins with the system's time, and moves only when a test moves it."""

    def __init__(self) -> None:
        self._began = super().monotonic()
        self.ahead = 0.0

    def monotonic(self) -> float:
        return self._began + self.ahead


class Waits:
    """The fast path of one caller, whose time is that of a clock.

    :ivar metrics: the requests that were counted.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.clock = StillClock()
        worker.hub._now = self.clock.monotonic
        worker.context._clock, worker.context._timeout = self.clock, LONG
        worker.context._activity = replace(worker.context._activity, clock=self.clock)
        self.metrics = Mock()
        self.path = FastPath(
            worker.store,
            worker.hub,
            self.clock,
            worker.services,
            lambda rule, identity, project_id: True,
            lambda headers, local: OWNER,
            ThreadScheduler(),
            self.metrics,
            LONG,
        )
        self.attend = Mock()

    def start(self, query: str, *headers: str) -> list[Response]:
        """Start to wait from now on, and return the list of the responses."""
        cursor = self._worker.context.get(SCOPE).cursor
        raw = request_bytes("GET", f"/v1/stacks/s/context?since={cursor}&{query}", *headers)
        found: list[Response] = []
        assert self.path.start(read(raw), found.append, self.attend, local=True)
        eventually(lambda: bool(found) or not self.path._loop_waits._started)
        return found

    def published(self) -> None:
        """Wait until the worker's watch has delivered all events."""
        hub, store = self._worker.hub, self._worker.store
        eventually(lambda: hub.has_published(store.state().cursor))

    @property
    def waiting(self) -> int:
        return self._worker.services.rate_limiter.open_in("waiting_requests")


def delta(response: Response) -> Any:
    assert isinstance(response, bytes), "it ends in the loop"
    assert status(response) == 200
    return json.loads(response.partition(b"\r\n\r\n")[2])
