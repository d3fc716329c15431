"""Tasks that run when they are due, and again after a pause if they failed.

A worker runs its tasks in one thread, so that they never overlap.  Workers do not wait for each other.
"""

from __future__ import annotations

import contextlib
import math
import queue
from collections.abc import Callable
from dataclasses import dataclass

from factstore.agent.error_log import ErrorLog
from factstore.client.backoff import Backoff
from factstore.client.clock import Clock

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds between attempts
_LONGEST_TIMEOUT = 3600.0  # an infinite time-out is an error


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
        # A SimpleQueue, because signal handlers may put into it while this thread is taking.
        self._requests: queue.SimpleQueue[tuple[Task, float] | None] = queue.SimpleQueue()
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
        self._requests.put((task, self._clock.monotonic() + delay))

    def stop(self) -> None:
        """Let :meth:`run` return when the current task has ended.  Signal handlers may call this."""
        self._stopped = True
        self._requests.put(None)

    def run(self) -> None:
        """Run tasks until the worker is stopped.

        :raises Exception: a task raised an error that is not retryable.
        """
        while not self._stopped:
            pause = self.run_due()
            with contextlib.suppress(queue.Empty):
                self._accept(self._requests.get(timeout=min(pause, _LONGEST_TIMEOUT)))

    def run_due(self) -> float:
        """Run each task that is due; return the seconds until the next one is."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._accept(self._requests.get_nowait())
        for task in self._tasks:
            if task.due <= self._clock.monotonic() and not self._stopped:
                self._run(task)
        due = min((task.due for task in self._tasks), default=math.inf)
        return max(due - self._clock.monotonic(), 0.0)

    def _accept(self, request: tuple[Task, float] | None) -> None:
        if request is not None:
            task, due = request
            task.due = min(task.due, due)

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
