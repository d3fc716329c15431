"""Standstills: times in which this process did not run, although it had something to do.

The machine was suspended, the process was stopped, or other programs used the processor.  Such a time
proves nothing about others: no server was silent, and no request was overtaken.  The process notices it
afterwards, because its clock has advanced by more than its work and its waits can explain.
"""

from __future__ import annotations

STANDSTILL_SECONDS = 0.5
"""A process that is late by more than this has stood still.

Nothing that a worker does should take so long: long work pauses every 10 ms
(:class:`~factstore.core.services.time_slice.TimeSlice`), and a request takes milliseconds.  The
times after which a worker gives up are longer: a second without a report of the watch, three seconds
without an answer of etcd, five seconds in the fair queue.
"""


def is_standstill(late: float) -> bool:
    """Return True if a process that is late by some seconds has stood still."""
    return late > STANDSTILL_SECONDS


class Standstills:
    """Measures the standstills between the times at which a process reads its clock.

    :param now: the present.
    """

    __slots__ = ("_seen",)

    def __init__(self, now: float) -> None:
        self._seen = now

    def measure(self, now: float, expected: float = 0.0) -> float:
        """Return the seconds for which the process has stood still since the last reading, or 0.

        :param expected: the seconds for which it was to wait.
        """
        late = now - self._seen - expected
        self._seen = now
        return late if late > STANDSTILL_SECONDS else 0.0
