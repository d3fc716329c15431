"""Readers of the hub that wait: who is woken, and when."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.model.fact import Scope
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.unit.watch.hubs import (
    A,
    B,
    C,
    cursor,
    event,
    everything,
    new_hub,
    publish,
    revisions,
)


class ReportingWakeUp(threading.Event):
    """A wake-up that reports when a reader waits for it."""

    parked: threading.Semaphore

    def wait(self, timeout: float | None = None) -> bool:
        self.parked.release()
        return super().wait(timeout)


@pytest.fixture
def parked() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def hub(parked: threading.Semaphore) -> Hub:
    def told() -> ReportingWakeUp:
        made = ReportingWakeUp()
        made.parked = parked
        return made

    return new_hub(HistoryLimits(3, 10**6, 900), told)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_only_the_readers_of_a_scope_are_woken(
    hub: Hub, parked: threading.Semaphore, threads: ThreadPoolExecutor
) -> None:
    mine = [threads.submit(hub.wait, A, cursor(0), 100) for _ in range(3)]
    other = threads.submit(hub.wait, B, cursor(0), 100)
    for _ in range(4):
        assert parked.acquire(timeout=60)
    publish(hub, 1, [event(A, 1)])
    assert [waiting.result(60) for waiting in mine] == [True] * 3
    assert not other.done()
    publish(hub, 2, [event(B, 2)])
    assert other.result(60)


def test_a_reader_can_be_woken_repeatedly(
    hub: Hub, parked: threading.Semaphore, threads: ThreadPoolExecutor
) -> None:
    for revision in range(1, 20):
        waiting = threads.submit(hub.wait, A, cursor(revision - 1), 100)
        assert parked.acquire(timeout=60)
        publish(hub, revision, [event(A, revision)])
        assert waiting.result(60)


@pytest.mark.parametrize("end", ["reset", "close"])
def test_all_readers_are_woken_when_history_is_reset_or_the_service_stops(
    hub: Hub, parked: threading.Semaphore, threads: ThreadPoolExecutor, end: str
) -> None:
    waiting = [threads.submit(hub.wait, scope, cursor(5), 100) for scope in (A, B)]
    for _ in waiting:
        assert parked.acquire(timeout=60)
    if end == "reset":
        hub.reset(cursor(3))
    else:
        hub.close()
    assert [reader.result(60) for reader in waiting] == [True, True]
    assert hub.closing == (end == "close")


def test_no_reader_starts_to_wait_when_the_service_stops(hub: Hub) -> None:
    hub.close()
    assert hub.wait(A, cursor(0), 30)


def test_a_reader_that_falls_behind_before_it_waits_is_not_left_waiting(hub: Hub) -> None:
    """All events of its stack were published and dropped between its read and its wait."""
    assert everything(hub, A, 0).events == ()
    publish(hub, 1, [event(A, 1)])
    for revision in range(2, 7):
        publish(hub, revision, [event(B, revision)])
    assert hub.wait(A, cursor(0), 0)


def test_a_wait_that_ends_without_an_event_returns_false(hub: Hub) -> None:
    assert not hub.wait(A, cursor(0), 0)
    publish(hub, 1, [event(B, 1)])
    assert not hub.wait(A, cursor(1), 0)


def test_readers_and_writers_on_many_threads_agree_on_the_order(
    threads: ThreadPoolExecutor,
) -> None:
    hub = new_hub(HistoryLimits(10_000, 10**9, 900))
    last = 2000

    def follow(scope: Scope) -> list[int]:
        seen: list[int] = []
        at = 0
        while at < last:
            found = hub.read(scope, cursor(at), events=7, size=3_000)
            seen += revisions(found)
            at = found.upto
            if not found.more and at < last:
                hub.wait(scope, cursor(at), 5)
        return seen

    readers = [(scope, threads.submit(follow, scope)) for scope in (A, B, C) for _ in range(2)]
    for revision in range(1, last + 1):
        scopes = [scope for n, scope in enumerate((A, B, C)) if revision % (n + 1) == 0]
        publish(hub, revision, [event(scope, revision) for scope in scopes])
    for scope, reader in readers:
        every = (A, B, C).index(scope) + 1
        assert reader.result(60) == list(range(every, last + 1, every))
