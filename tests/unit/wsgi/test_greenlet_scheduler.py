"""The scheduler of greenlets in gevent's own loop, on a clock that each request advances by a slice."""

from __future__ import annotations

import gevent
from gevent.event import Event

from factstore.wsgi.fair_queue import SLICE_SECONDS, Flow
from factstore.wsgi.server.greenlet_scheduler import GreenletScheduler
from tests.unit.core.factories import ManualClock

LOUD, QUIET = ("loud", False), ("quiet", False)
REQUESTS = [LOUD] * 5 + [QUIET]
FAIR = [LOUD, QUIET, LOUD, LOUD, LOUD, LOUD]


class Requests:
    """Greenlets that serve requests, and note when they run."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.scheduler = GreenletScheduler(self.clock)
        self.served: list[Flow] = []

    def start(self, flow: Flow) -> bool:
        waited = self.scheduler.start(flow)
        self.note(flow)
        return waited

    def note(self, flow: Flow) -> None:
        self.served.append(flow)
        self.clock.advance(SLICE_SECONDS)


def test_a_request_starts_before_those_that_wait_in_another_project() -> None:
    requests = Requests()
    started = [gevent.spawn(requests.start, flow) for flow in REQUESTS]
    gevent.joinall(started, timeout=60, raise_error=True)
    assert requests.served == FAIR
    assert [greenlet.value for greenlet in started] == [False, True, True, True, True, False]
    assert requests.scheduler.waiting == 0


def test_requests_that_a_change_wakes_together_continue_in_turns() -> None:
    requests = Requests()
    changed = requests.scheduler.new_wake_up()

    def wait_for_change(flow: Flow) -> None:
        requests.scheduler.start(flow)
        assert changed.wait(60)
        requests.note(flow)

    waiting = [gevent.spawn(wait_for_change, flow) for flow in REQUESTS]
    while requests.scheduler.waiting or not all(greenlet.started for greenlet in waiting):
        gevent.sleep(0)
    gevent.sleep(0.01)  # the round in which the last of them began to wait is over
    changed.set()
    gevent.joinall(waiting, timeout=60, raise_error=True)
    assert requests.served == FAIR


def test_a_request_that_ends_while_it_waits_is_skipped() -> None:
    requests = Requests()
    started = [gevent.spawn(requests.start, LOUD) for _ in range(4)]
    gevent.sleep(0)
    started[1].kill()
    gevent.joinall(started, timeout=60, raise_error=True)
    assert len(requests.served) == 3
    assert requests.scheduler.waiting == 0


def test_background_work_does_not_wait_for_requests() -> None:
    requests = Requests()
    woken = Event()
    wake_up = requests.scheduler.new_wake_up()

    def background() -> None:
        wake_up.wait(60)
        requests.served.append(("", False))
        woken.set()

    gevent.spawn(background)
    for _ in range(9):
        gevent.spawn(requests.start, LOUD)
    gevent.sleep(0)
    wake_up.set()
    assert woken.wait(60)
    assert len(requests.served) < 9


def test_only_greenlets_may_wait_and_not_the_loop_that_serves_them() -> None:
    scheduler = GreenletScheduler(ManualClock())
    found: list[bool] = []
    gevent.get_hub().loop.run_callback(lambda: found.append(scheduler.may_wait()))
    gevent.sleep(0)
    found.append(scheduler.may_wait())
    found.append(gevent.spawn(scheduler.may_wait).get(timeout=60))
    assert found == [False, True, True]
