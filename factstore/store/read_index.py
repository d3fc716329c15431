"""One call to the backend for all concurrent readers.

A read is current if the newest revision was requested *after* the read arrived.  Readers that arrive
during a call therefore share the next one.  Those that arrive in one turn of the loop share one, too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from copy import copy
from functools import partial

from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.ports import Clock, WakeUp
from factstore.core.short_lock import ShortLock

LOG = logging.getLogger(__name__)

CALL_SECONDS = 5.0
RETRY_SECONDS = 0.05  # the pause after a failure, so that readers that retry at once do not spin


class HeadRead:
    """A call that several readers wait for; when it has ended, it has a revision or an error."""

    __slots__ = ("error", "readers", "revision")

    def __init__(self) -> None:
        self.readers: list[HeadReadEnded] = []
        self.revision = 0
        self.error: FactstoreError | None = None


HeadReadEnded = Callable[[HeadRead], object]
"""Receives a call that has ended."""


class ReadIndex:
    """Calls *head* once for each group of readers, on a thread of its own if it has to wait.

    :param start: starts the same call without waiting, and passes its revision on; False, or later
        None, if *head* has to make it.
    :param defer: calls a function after other readers could arrive, and before a call is sent.
    """

    def __init__(
        self,
        head: Callable[[float], int],
        clock: Clock,
        new_wake_up: Callable[[], WakeUp],
        start: Callable[[Callable[[int | None], object]], bool] | None = None,
        defer: Callable[[Callable[[], object]], object] = lambda call: call(),
    ) -> None:
        self._head = head
        self._start = start
        self._defer = defer
        self._deferred = False  # True if a call will be started
        self._running = False  # True if a call was started, or left to the thread
        self._left: HeadRead | None = None
        self._clock = clock
        self._new_wake_up = new_wake_up
        self._lock = ShortLock()
        self._next: HeadRead | None = None
        self._wanted = new_wake_up()
        self._stopped = new_wake_up()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="read-index", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; waiting reads raise Unavailable."""
        with self._lock:
            self._stopping = True
            self._wanted.set()
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Return True if the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def read(self, deadline: float) -> int:
        """Return a revision that was the newest at some moment during this call.

        :raises Unavailable: the backend did not answer before the deadline.
        :raises CursorExpired: the store was replaced.
        """
        ended = self._new_wake_up()
        call = self.join(lambda call: ended.set())
        ended.wait(max(0.0, deadline - self._clock.monotonic()))
        if call.error is not None:
            raise copy(call.error)
        if not ended.is_set():
            raise Unavailable("The store did not answer in time.")
        return call.revision

    def join(self, ended: HeadReadEnded) -> HeadRead:
        """Return the next call, whose revision will have been the newest at some moment from now on.

        :param ended: called with it when it has ended, which can be before this returns.
        :raises Unavailable: the service is stopping.
        """
        with self._lock:
            if self._stopping:
                raise Unavailable("The service is stopping.")
            call = self._next
            if call is None:
                call = self._next = HeadRead()
                if self._start is None:
                    self._wanted.set()
            call.readers.append(ended)
        self._advance()
        return call

    def _advance(self) -> None:
        """Start the next call soon, unless one is running."""
        if self._start is None or self._next is None or self._running or self._deferred:
            return
        self._deferred = True
        self._defer(self._begin)

    def _begin(self) -> None:
        """Start the next call."""
        with self._lock:
            self._deferred = False
            call = self._next
            if call is None or self._running:
                return
            self._next, self._running = None, True
        if self._stopping:
            self._end(call, None)
        elif self._start is not None and not self._start(partial(self._end, call)):
            self._leave(call)

    def _end(self, call: HeadRead, revision: int | None) -> None:
        """End a call that was started without waiting."""
        if revision is not None:
            call.revision = revision
        elif self._stopping:
            call.error = Unavailable("The service is stopping.")
        else:
            self._leave(call)
            return
        self._finish()
        _notify(call)

    def _finish(self) -> None:
        with self._lock:
            self._running = False
        self._advance()

    def _leave(self, call: HeadRead) -> None:
        """Let the thread make a call."""
        with self._lock:
            self._left = call
            self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            with self._lock:
                call, self._left = self._left, None
                if call is None and not self._running:
                    call, self._next = self._next, None
                self._wanted = self._new_wake_up()
                last = self._stopping  # no reader can arrive afterwards
            if call is not None:
                self._send(call)
                if not last and call.error is not None:
                    self._stopped.wait(RETRY_SECONDS)
                self._finish()
            if last:
                return

    def _send(self, call: HeadRead) -> None:
        try:
            if self._stopping:
                raise Unavailable("The service is stopping.")
            call.revision = self._head(self._clock.monotonic() + CALL_SECONDS)
        except FactstoreError as error:
            call.error = error
        except Exception as error:  # noqa: BLE001 - the readers wait for an outcome
            call.error = Unavailable("The store cannot be reached.")
            call.error.__cause__ = error
        _notify(call)


def _notify(call: HeadRead) -> None:
    for ended in call.readers:
        try:
            ended(call)
        except Exception:  # the other readers, and this thread, have to continue
            LOG.exception("A reader failed.")
