"""Samples of a soak, and whether their numbers grow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

GROWTH = 1.1
"""The factor by which a number may grow from the second third of the time to the last."""

MARGINS = {"mib": 8.0, "files": 10.0, "lag": 0.1}
"""Growth that is allowed beside, because other processes use the machine."""


@dataclass(frozen=True)
class Sample:
    """One part of the time.

    :param at: seconds since the beginning.
    :param files: the file descriptors of the worker.
    :param lag: the median of the seconds until a reader has an event; *late* is the 99th percentile.
    """

    at: float
    mib: float
    files: int
    etcd_mib: float
    lag: float
    late: float


def growth(samples: Sequence[Sample]) -> list[str]:
    """Return which numbers are larger in the last third of the time than in the second one.

    In the first third, the history of events fills.
    """
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    found = []
    for name, margin in MARGINS.items():
        before = statistics.median(getattr(each, name) for each in middle)
        after = statistics.median(getattr(each, name) for each in last)
        if after > before * GROWTH + margin:
            found.append(f"{name} has grown from {before:.3f} to {after:.3f}")
    return found
