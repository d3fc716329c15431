"""Limits the requests that run at the same time to one host for one project."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import field

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.notify.deadline import Deadline, TimedOut


@quick_dataclass(slots=True)
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

    def taken(self, project_id: str, host: str, deadline: Deadline) -> Taken:
        """Return a context manager that takes a slot, and waits for one if all are taken.

        It raises TimedOut or SendingEnded.
        """
        return Taken(self, (project_id, host), deadline)

    def take(self, key: tuple[str, str], deadline: Deadline) -> None:
        """Take a slot. Raises TimedOut or SendingEnded."""
        with self._lock:
            slots = self._slots.get(key)
            if slots is None:
                slots = self._slots[key] = _Slots()
            if slots.taken < self._count:
                slots.taken += 1
                return
            left, passed_on = deadline.left(), threading.Event()
            slots.waiting.append(passed_on)
        try:
            passed_on.wait(left)
        finally:
            waits = not passed_on.is_set()
            if waits:
                with self._lock:
                    waits = not passed_on.is_set()
                    if waits:
                        slots.waiting.remove(passed_on)
        if waits:
            raise TimedOut

    def release(self, key: tuple[str, str]) -> None:
        """Release a slot that was taken."""
        with self._lock:
            slots = self._slots[key]
            if slots.waiting:
                slots.waiting.popleft().set()
                return
            slots.taken -= 1
            if not slots.taken:
                del self._slots[key]


class Taken:
    """A slot for the duration of a ``with`` block; a generator would cost each delivery more."""

    __slots__ = ("_deadline", "_key", "_slots")

    def __init__(self, slots: HostSlots, key: tuple[str, str], deadline: Deadline) -> None:
        self._slots = slots
        self._key = key
        self._deadline = deadline

    def __enter__(self) -> None:
        self._slots.take(self._key, self._deadline)

    def __exit__(self, *error: object) -> None:
        self._slots.release(self._key)
