"""Fixtures of the worker's tests."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from tests.contract.world import MemoryWorld, Worker
from tests.unit.wsgi.loop_requests import SCOPE, Waits


@pytest.fixture(autouse=True)
def current_time() -> None:
    """Set the time of gevent's loop, which is that of its last turn: time-outs count from there.

    If earlier tests took longer than a time-out, it would end at once.
    """
    gevent.get_hub().loop.update_now()


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker with a database in memory."""
    world = MemoryWorld()
    yield world.worker()
    world.close()


@pytest.fixture
def waits(worker: Worker) -> Waits:
    worker.put(SCOPE, "a", 1)
    return Waits(worker)
