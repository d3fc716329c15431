"""Supervises several children until a signal, and never leaves one behind."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Self

from factstore.cmd.processes.process import Child, ChildError

_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 5.0
_STEADY = 30.0
"""After a child has run for this many seconds, its earlier failures are forgotten."""


class StopRequested(Exception):
    """A signal requested a stop during a wait."""


@dataclass
class Supervised:
    """A child under supervision."""

    child: Child
    start: Callable[[], None]
    stop_within: float
    restart: bool
    backoff: float = _FIRST_BACKOFF
    started_at: float = 0.0
    due: float | None = None
    """The time of the next start; None while the child runs."""


class Supervisor:
    """A context that supervises children, and stops on SIGINT, SIGTERM and SIGHUP.

    When the context exits, the children are stopped in the reverse order of their start. A second
    signal kills all of them at once and ends the process. Use it only in the main thread.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """``say`` receives a line for each event that is of interest to an operator."""
        self._say = say
        self._children: list[Supervised] = []
        self._stopping = False
        self._resources = contextlib.ExitStack()
        self._woken, self._waker = socket.socketpair()

    def __enter__(self) -> Self:
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._resources.callback(self._waker.close)
        self._resources.callback(self._woken.close)
        before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._resources.callback(signal.set_wakeup_fd, before)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP; keep it ignored.
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            handler = signal.signal(number, self._on_signal)
            self._resources.callback(signal.signal, number, handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._resources:
            for supervised in reversed(self._children):
                supervised.child.terminate(supervised.stop_within)

    def start(
        self, child: Child, start: Callable[[], None], *, stop_within: float, restart: bool
    ) -> None:
        """Start ``child`` by calling ``start``, and supervise it.

        With ``restart``, it is started again whenever it exits. Without, its exit ends :meth:`run`.
        Raises ChildError, and StopRequested if a signal has arrived.
        """
        self.pause(0)
        supervised = Supervised(child, start, stop_within, restart, started_at=time.monotonic())
        self._children.append(supervised)
        start()

    def pause(self, seconds: float) -> None:
        """Wait, on behalf of a child's start. Raises StopRequested on a signal."""
        if not self._stopping:
            select.select([self._woken], [], [], seconds)
            self._drain()
        if self._stopping:
            raise StopRequested

    def run(self) -> None:
        """Supervise until a signal. Raises ChildError if a child without restart exits."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for supervised in self._children:
                selector.register(supervised.child, selectors.EVENT_READ, supervised)
            while not self._stopping:
                for key, _ in selector.select(self._until_next_start()):
                    if key.data is None:
                        self._drain()
                    else:
                        selector.unregister(key.fileobj)
                        self._exited(key.data)
                self._restart_due(selector)

    def _exited(self, supervised: Supervised) -> None:
        if not supervised.restart:
            raise ChildError(supervised.child.exit_message())
        now = time.monotonic()
        if now - supervised.started_at >= _STEADY:
            supervised.backoff = _FIRST_BACKOFF
        name, status = supervised.child.name, supervised.child.poll()
        self._say(
            f"{name} ended with status {status}; starting it again in {supervised.backoff:g} s"
        )
        self._postpone(supervised)

    def _postpone(self, supervised: Supervised) -> None:
        supervised.due = time.monotonic() + supervised.backoff
        supervised.backoff = min(supervised.backoff * 2, _LONGEST_BACKOFF)

    def _restart_due(self, selector: selectors.BaseSelector) -> None:
        for supervised in self._children:
            if supervised.due is None or self._stopping or time.monotonic() < supervised.due:
                continue
            try:
                supervised.start()
            except ChildError as error:
                self._say(str(error))
                self._postpone(supervised)
                continue
            supervised.due, supervised.started_at = None, time.monotonic()
            selector.register(supervised.child, selectors.EVENT_READ, supervised)

    def _until_next_start(self) -> float | None:
        due = [supervised.due for supervised in self._children if supervised.due is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(64):
                pass

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            for supervised in self._children:
                supervised.child.kill()
            os._exit(128 + number)
        self._stopping = True
