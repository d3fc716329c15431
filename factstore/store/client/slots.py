"""Slots for calls, which are given in the order in which they were asked for."""

from __future__ import annotations

import threading
from collections import deque


class Slots:
    """Limits how many calls run at a time.

    A semaphore of :mod:`threading` lets newcomers overtake those that it has just woken.  While
    hundreds ask for a slot, some of these would wait until their time ends.

    :param count: the number of slots.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[threading.Event] = deque()  # set when a slot is passed on
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """The number of those that wait for a slot."""
        return len(self._waiting)

    def acquire(self, timeout: float) -> bool:
        """Take a slot; return False if none became free for *timeout* seconds."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            passed_on = threading.Event()
            self._waiting.append(passed_on)
        if passed_on.wait(timeout):
            return True
        with self._lock:
            if passed_on.is_set():  # meanwhile
                return True
            self._waiting.remove(passed_on)
            return False

    def release(self) -> None:
        """Pass a slot on to the first that waits."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
