"""Tasks that run when they are due, and again after a pause if they failed.

A worker runs its tasks in one thread, so that they never overlap.  Workers do not wait for each other.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from factstore.agent.error_log import ErrorLog
from factstore.client.backoff import Backoff
from factstore.client.clock import Clock

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between attempts
# The kernel's time-outs stop while the machine is suspended, so that a long one would be late.
_LONGEST_WAIT = 60.0


@dataclass(eq=False)
class Task:
    """An action that a worker runs when it is due.

    :param name: a noun for the log, such as ``heartbeat``.
    :param action: returns the seconds until the next run, or None if the task then waits for a request.
    :param backoff: the pauses after failures.
    :param longest_pause: the limit of these pauses, even if the service has asked for longer ones.
    :ivar due: the time of the next run.
    """

    name: str
    action: Callable[[], float | None]
    backoff: Backoff
    longest_pause: float = math.inf
    due: float = math.inf


class _Wakeup:
    """A flag that one thread waits for; threads and signal handlers may set it."""

    # Not an event or a queue: until Python 3.11 their time-outs follow the time of day, so that a
    # clock that is set back by an hour would make them an hour longer.

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)
        self._poll = select.poll()
        self._poll.register(self._readable, select.POLLIN)

    def __del__(self) -> None:
        os.close(self._readable)
        os.close(self._writable)

    def set(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full: it is set
            os.write(self._writable, b"\0")

    def wait(self, seconds: float) -> None:
        """Wait until the flag is set, at most for a number of seconds, and clear it."""
        if self._poll.poll(math.ceil(seconds * 1000)):
            os.read(self._readable, 4096)


class Worker:
    """Runs tasks one after the other.

    :param retryable: the errors after which a task is repeated.  Other errors end :meth:`run`.
    """

    def __init__(
        self, clock: Clock, error_log: ErrorLog, retryable: tuple[type[Exception], ...]
    ) -> None:
        self._clock = clock
        self._error_log = error_log
        self._retryable = retryable
        self._tasks: list[Task] = []
        # A deque needs no lock, which a signal handler could wait for in vain.
        self._requests: deque[tuple[Task, float]] = deque()
        self._wakeup = _Wakeup()
        self._stopped = False

    def add(
        self,
        name: str,
        action: Callable[[], float | None],
        backoff: Backoff | None = None,
        longest_pause: float = math.inf,
    ) -> Task:
        """Return a new task of this worker, which waits for a request."""
        backoff = backoff or Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        task = Task(name, action, backoff, longest_pause)
        self._tasks.append(task)
        return task

    def request(self, task: Task, delay: float = 0.0) -> None:
        """Let a task of this worker run in *delay* seconds at the latest.

        Threads and signal handlers may call this.  A request during a run results in another run.
        """
        self._requests.append((task, self._clock.monotonic() + delay))
        self._wakeup.set()

    def stop(self) -> None:
        """Let :meth:`run` return when the current task has ended.  Signal handlers may call this."""
        self._stopped = True
        self._wakeup.set()

    def run(self) -> None:
        """Run tasks until the worker is stopped.

        :raises Exception: a task raised an error that is not retryable.
        """
        while not self._stopped:
            self._wakeup.wait(min(self.run_due(), _LONGEST_WAIT))

    def run_due(self) -> float:
        """Run each task that is due; return the seconds until the next one is."""
        while self._requests:
            task, due = self._requests.popleft()
            task.due = min(task.due, due)
        for task in self._tasks:
            if task.due <= self._clock.monotonic() and not self._stopped:
                self._run(task)
        due = min((task.due for task in self._tasks), default=math.inf)
        return max(due - self._clock.monotonic(), 0.0)

    def _run(self, task: Task) -> None:
        task.due = math.inf
        try:
            pause = task.action()
        except self._retryable as error:
            self._error_log.failed(task.name, error)
            pause = task.backoff.pause(getattr(error, "retry_after", None))
            pause = min(pause, task.longest_pause)
        else:
            self._error_log.succeeded(task.name)
            task.backoff.reset()
        if pause is not None:
            task.due = self._clock.monotonic() + pause
