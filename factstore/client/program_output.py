"""The standard streams of a program that nobody reads any more, or whose disk is full.

Python reports such a failure with a traceback, and with another one at the end.  Here, the program ends
with one line and a status.  A failure of standard error cannot be reported, and is ignored.
"""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CLOSED = 141  # the status of a program that ends by SIGPIPE, in shells


class OutputError(Exception):
    """The output cannot be written; no OSError, which programs expect from their own files."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written: {error.strerror}")
        self.is_closed = error.errno == errno.EPIPE


def run_program(name: str, run: Callable[[], int], failed: Callable[[], int] = lambda: 1) -> int:
    """Return the exit status of a program.

    :param name: begins the line that is printed.
    :param failed: returns the status if the output cannot be written; with a closed pipe, the status is
        :data:`CLOSED`.
    """
    with _replaced("stdout"), _replaced("stderr"):
        try:
            try:
                return run()
            finally:
                sys.stdout.flush()
        except OutputError as error:
            if error.is_closed:
                return CLOSED
            print(f"{name}: {error}", file=sys.stderr)
            return failed()


@contextmanager
def _replaced(name: str) -> Iterator[None]:
    """Let standard output raise OutputError, and a stream that is closed take all that is written."""
    former: Any = getattr(sys, name)
    try:
        raw: Any = _Closed() if former is None else _Stream(former.fileno(), name == "stderr")
    except (AttributeError, OSError, ValueError):  # no file, as in a test
        yield
        return
    unbuffered = name == "stderr" or getattr(former, "write_through", False)
    stream = io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=getattr(former, "encoding", "utf-8"),
        errors=getattr(former, "errors", "replace"),
        line_buffering=getattr(former, "line_buffering", False),
        write_through=unbuffered,
    )
    setattr(sys, name, stream)
    try:
        yield
    finally:
        setattr(sys, name, former)
        raw.discards = True  # the rest, when it is deleted


class _Stream(io.FileIO):
    """A file that is written at once.

    :param discards: True to ignore all failures.
    """

    def __init__(self, descriptor: int, discards: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.discards = discards

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if self.discards:
                return len(data)
            raise OutputError(error) from error


class _Closed(io.RawIOBase):
    """A stream that the program was started without."""

    discards = True

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)
