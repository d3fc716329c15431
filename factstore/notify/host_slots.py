"""Limits the requests that run at the same time to one host for one project."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from factstore.notify.deadline import Deadline, TimedOut


@dataclass(slots=True)
class _Slots:
    """The slots of one host and project.

    :param waiting: set, in order, when a slot is passed on.
    """

    taken: int = 0
    waiting: deque[threading.Event] = field(default_factory=deque)


class HostSlots:
    """Slots for requests.

    :param count: the number of slots of a host and a project.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._slots: dict[tuple[str, str], _Slots] = {}

    @contextmanager
    def taken(self, project_id: str, host: str, deadline: Deadline) -> Iterator[None]:
        """Take a slot; wait for one if all are taken. Raises TimedOut or SendingEnded."""
        key = project_id, host
        self._take(key, deadline)
        try:
            yield
        finally:
            self._release(key)

    def _take(self, key: tuple[str, str], deadline: Deadline) -> None:
        left = deadline.left()
        with self._lock:
            slots = self._slots.setdefault(key, _Slots())
            if slots.taken < self._count:
                slots.taken += 1
                return
            passed_on = threading.Event()
            slots.waiting.append(passed_on)
        try:
            passed_on.wait(left)
        finally:
            with self._lock:
                waits = not passed_on.is_set()
                if waits:
                    slots.waiting.remove(passed_on)
        if waits:
            raise TimedOut

    def _release(self, key: tuple[str, str]) -> None:
        with self._lock:
            slots = self._slots[key]
            if slots.waiting:
                slots.waiting.popleft().set()
                return
            slots.taken -= 1
            if not slots.taken:
                del self._slots[key]
