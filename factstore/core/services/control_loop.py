"""A thread that does a round of work again and again until it is stopped.

A round that fails is repeated later, so a thread ends only if it is stopped.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.ports import WakeUp


class ControlLoop(ABC):
    """The base of the parts of a worker that act by themselves.

    :cvar name: of the thread.
    :cvar delayed: what is late when a round fails, for the log.
    :cvar stop_seconds: how long :meth:`stop` waits for the present round.
    :param pause: seconds before the first round, and after one that has failed.
    """

    name: ClassVar[str]
    delayed: ClassVar[str]
    stop_seconds: ClassVar[float] = 5.0

    def __init__(self, new_wake_up: Callable[[], WakeUp], pause: float) -> None:
        self._new_wake_up = new_wake_up
        self._default_pause = pause
        self._wake_up = new_wake_up()
        self._stopping = False
        self._thread: threading.Thread | None = None

    @abstractmethod
    def run_round(self) -> float:
        """Do what is due, and return the seconds until the next round.

        :raises FactstoreError: it is repeated later.
        """

    def start(self) -> None:
        """Start the thread."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after its present round."""
        self._stopping = True
        self._wake_up.set()
        if self._thread is not None:
            self._thread.join(self.stop_seconds)

    @property
    def alive(self) -> bool:
        """True if the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """Start a round now, because there is something to do."""
        self._wake_up.set()

    def _run(self) -> None:
        pause, log = self._default_pause, logging.getLogger(type(self).__module__)
        while True:
            self._wake_up.wait(pause)
            # Before the round, which sees all that was there to do until now.
            self._wake_up = self._new_wake_up()
            if self._stopping:
                return
            pause = self._default_pause
            try:
                pause = self.run_round()
            except Unavailable as error:  # the pump reports it
                log.debug("%s: %s", self.delayed, error)
            except FactstoreError as error:
                log.info("%s: %s", self.delayed, error)
            except Exception:
                log.exception("%s, because of an internal error; trying again", self.delayed)
