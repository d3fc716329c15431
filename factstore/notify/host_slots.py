"""Limits the requests that run at the same time to one host for one project."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from factstore.notify.deadline import Deadline, TimedOut


@dataclass(slots=True)
class _Slots:
    semaphore: threading.Semaphore
    users: int = 0


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
        with self._lock:
            slots = self._slots.setdefault(key, _Slots(threading.Semaphore(self._count)))
            slots.users += 1
        try:
            if not slots.semaphore.acquire(timeout=deadline.left()):
                raise TimedOut
            try:
                yield
            finally:
                slots.semaphore.release()
        finally:
            with self._lock:
                slots.users -= 1
                if not slots.users:
                    del self._slots[key]
