"""Standstills of a process, from the readings of its clock."""

from __future__ import annotations

import pytest

from factstore.core.standstill import STANDSTILL_SECONDS, Standstills, is_standstill

LATE = STANDSTILL_SECONDS + 0.25


def test_a_process_that_is_a_little_late_has_not_stood_still() -> None:
    assert not is_standstill(0.0)
    assert not is_standstill(STANDSTILL_SECONDS)
    assert is_standstill(LATE)


def test_the_time_between_two_readings_of_the_clock_is_a_standstill_if_it_is_long() -> None:
    standstills = Standstills(10.0)
    assert standstills.measure(10.0) == 0
    assert standstills.measure(10.0 + STANDSTILL_SECONDS) == 0
    assert standstills.measure(10.0 + STANDSTILL_SECONDS + LATE) == LATE
    assert standstills.measure(10.0 + STANDSTILL_SECONDS + LATE) == 0


@pytest.mark.parametrize("period", [0.125, 60.0])
def test_a_wait_is_a_standstill_only_by_what_it_took_longer_than_expected(period: float) -> None:
    standstills = Standstills(100.0)
    assert standstills.measure(100.0 + period, expected=period) == 0
    assert standstills.measure(100.0 + 2 * period + LATE, expected=period) == LATE
