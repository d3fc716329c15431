"""Long work that lets others work, too."""

from __future__ import annotations

import time

import pytest

from factstore.core.services.time_slice import SLICE_SECONDS, TimeSlice
from tests.unit.core.factories import ManualClock


def test_others_run_after_each_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = ManualClock(), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(5)  # the work of others is not counted

    monkeypatch.setattr(time, "sleep", sleep)
    piece = TimeSlice(clock)
    for _ in range(9):
        piece.pause()
        clock.advance(SLICE_SECONDS / 2)
    assert slept == [0] * 4
