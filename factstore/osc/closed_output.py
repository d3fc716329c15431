"""Notices that nobody reads the output of a command any more."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

CHECK_MS = 500  # between two looks at the end of the command


@contextmanager
def end_when_closed(output: TextIO, end: Callable[[], None]) -> Iterator[None]:
    """End what the body waits for once the reader of the output has gone, such as ``head``.

    A write would notice it, but the body may have nothing to write for hours.

    :param end: called in another thread.
    :raises BrokenPipeError: after the body, if that happened.
    """
    gone, done = threading.Event(), threading.Event()
    try:
        poll = select.poll()  # not on every system
        poll.register(output.fileno(), 0)  # errors are reported always
    except (AttributeError, OSError, ValueError):  # no file, as in a test
        yield
        return

    def look() -> None:
        while not done.is_set():
            if any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(CHECK_MS)):
                gone.set()
                end()
                return

    threading.Thread(target=look, name="closed-output", daemon=True).start()
    try:
        yield
    finally:
        done.set()
    if gone.is_set():
        raise BrokenPipeError("nobody reads the output")
