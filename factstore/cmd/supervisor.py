"""Keeps several children running until a signal says stop, and never leaves one behind."""

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
"""A child that ran for so many seconds is restarted without remembering earlier failures."""


class StopRequested(Exception):
    """A signal asked us to stop while we were waiting for something else."""


@dataclass
class Ward:
    """A child under supervision."""

    child: Child
    start: Callable[[], None]
    stop_within: float
    restart: bool
    backoff: float = _FIRST_BACKOFF
    started_at: float = 0.0
    due: float | None = None
    """When to start it again; None while it runs."""


class Supervisor:
    """A context in which SIGINT, SIGTERM and SIGHUP mean "stop", and after which no child lives.

    Leaving it stops the children in the reverse order of their start. A second signal kills them
    all at once and ends the process. Use it in the main thread only.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """``say`` gets a line whenever something happens that an operator would want to know."""
        self._say = say
        self._wards: list[Ward] = []
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
            # Under nohup hang-ups are ignored, and stay so.
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
            for ward in reversed(self._wards):
                ward.child.terminate(ward.stop_within)

    def start(
        self, child: Child, start: Callable[[], None], *, stop_within: float, restart: bool
    ) -> None:
        """Start ``child`` by calling ``start`` and look after it from now on.

        With ``restart`` it is started again whenever it ends; without, its end ends :meth:`run`.
        Raises ChildError, and StopRequested if a signal came before.
        """
        self.pause(0)
        ward = Ward(child, start, stop_within, restart, started_at=time.monotonic())
        self._wards.append(ward)
        start()

    def pause(self, seconds: float) -> None:
        """Wait for ``seconds``; for the children's own waits. Raises StopRequested on a signal."""
        if not self._stopping:
            select.select([self._woken], [], [], seconds)
            self._drain()
        if self._stopping:
            raise StopRequested

    def run(self) -> None:
        """Return when a signal says stop. Raises ChildError when a child without restart ends."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for ward in self._wards:
                selector.register(ward.child, selectors.EVENT_READ, ward)
            while not self._stopping:
                for key, _ in selector.select(self._until_next_start()):
                    if key.data is None:
                        self._drain()
                    else:
                        selector.unregister(key.fileobj)
                        self._ended(key.data)
                self._restart_due(selector)

    def _ended(self, ward: Ward) -> None:
        if not ward.restart:
            raise ChildError(ward.child.obituary())
        now = time.monotonic()
        if now - ward.started_at >= _STEADY:
            ward.backoff = _FIRST_BACKOFF
        name, status = ward.child.name, ward.child.poll()
        self._say(f"{name} ended with status {status}; starting it again in {ward.backoff:g} s")
        self._postpone(ward)

    def _postpone(self, ward: Ward) -> None:
        ward.due = time.monotonic() + ward.backoff
        ward.backoff = min(ward.backoff * 2, _LONGEST_BACKOFF)

    def _restart_due(self, selector: selectors.BaseSelector) -> None:
        for ward in self._wards:
            if ward.due is None or self._stopping or time.monotonic() < ward.due:
                continue
            try:
                ward.start()
            except ChildError as error:
                self._say(str(error))
                self._postpone(ward)
                continue
            ward.due, ward.started_at = None, time.monotonic()
            selector.register(ward.child, selectors.EVENT_READ, ward)

    def _until_next_start(self) -> float | None:
        due = [ward.due for ward in self._wards if ward.due is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(64):
                pass

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            for ward in self._wards:
                ward.child.kill9()
            os._exit(128 + number)
        self._stopping = True
