"""Fixtures of the worker's tests."""

from __future__ import annotations

import gevent
import pytest


@pytest.fixture(autouse=True)
def current_time() -> None:
    """Set the time of gevent's loop, which is that of its last turn: time-outs count from there.

    If earlier tests took longer than a time-out, it would end at once.
    """
    gevent.get_hub().loop.update_now()
