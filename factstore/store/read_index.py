"""One question to the database for all who ask at the same time.

What makes a read current is that the head was asked for *after* the read arrived.  So those who arrive
while a question is on its way share the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy

from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.ports import Clock, WakeUp

CALL_SECONDS = 5.0
RETRY_SECONDS = 0.05  # after a failure, lest those who ask again at once spin


class _Question:
    """What a group of readers waits for."""

    __slots__ = ("answer", "answered", "error")

    def __init__(self, signal: WakeUp) -> None:
        self.answered = signal
        self.answer = 0
        self.error: FactstoreError | None = None


class ReadIndex:
    """Asks *head* on a thread of its own, once for each group of readers."""

    def __init__(
        self, head: Callable[[float], int], clock: Clock, new_signal: Callable[[], WakeUp]
    ) -> None:
        self._head = head
        self._clock = clock
        self._new_signal = new_signal
        self._lock = threading.Lock()
        self._next: _Question | None = None
        self._wanted = new_signal()
        self._stopped = new_signal()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="readindex", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; whoever still waits is told that the store is unavailable."""
        with self._lock:
            self._stopping = True
            self._wanted.set()
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def read(self, deadline: float) -> int:
        """The head of the database at some moment during this call.

        :raises Unavailable: it did not answer by then.
        :raises CursorExpired: it is not the database that was opened.
        """
        with self._lock:
            if self._stopping:
                raise Unavailable("the service is stopping.")
            question = self._next
            if question is None:
                question = self._next = _Question(self._new_signal())
                self._wanted.set()
        question.answered.wait(max(0.0, deadline - self._clock.monotonic()))
        if question.error is not None:
            raise copy(question.error)
        if not question.answered.is_set():
            raise Unavailable("the store did not answer in time.")
        return question.answer

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            with self._lock:
                question, self._next = self._next, None
                self._wanted = self._new_signal()
                last = self._stopping  # nobody can ask after that
            if question is not None:
                self._ask(question)
            if last:
                return
            if question is not None and question.error is not None:
                self._stopped.wait(RETRY_SECONDS)

    def _ask(self, question: _Question) -> None:
        try:
            if self._stopping:
                raise Unavailable("the service is stopping.")
            question.answer = self._head(self._clock.monotonic() + CALL_SECONDS)
        except FactstoreError as error:
            question.error = error
        except Exception as error:  # noqa: BLE001 - those who wait must hear of it
            question.error = Unavailable("the store cannot be asked.")
            question.error.__cause__ = error
        question.answered.set()
