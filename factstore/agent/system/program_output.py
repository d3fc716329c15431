"""The output of a program: read while it runs, bounded, and without trust in it."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
from collections import deque
from collections.abc import Callable
from typing import IO

from factstore.client.counts import counted

LINE_BYTES = 4096  # longer lines are split
FIRST_LINES, LAST_LINES = 500, 50
FIRST_BYTES, LAST_BYTES = 64 * 1024, 16 * 1024


class LineLog:
    """Passes on the first and the last lines of an output: journals drop what is too much.

    :param on_line: called with each line.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._lines_left, self._bytes_left = FIRST_LINES, FIRST_BYTES
        self._last: deque[bytes] = deque(maxlen=LAST_LINES)
        self._later = 0

    def add(self, lines: list[bytes]) -> None:
        """Add lines without their ends."""
        at = 0
        for line in lines:
            if self._lines_left <= 0 or self._bytes_left <= 0:
                break
            at += 1
            for start in range(0, max(len(line), 1), LINE_BYTES):
                part = line[start : start + LINE_BYTES]
                self._lines_left -= 1
                self._bytes_left -= len(part)
                self._on_line(printable(part.decode("utf-8", "replace")))
        self._later += len(lines) - at
        self._last.extend(line[-LINE_BYTES:] for line in lines[at:][-LAST_LINES:])

    def close(self) -> None:
        """Pass on the last lines, and the number of those that were left out."""
        last: list[bytes] = []
        length = 0
        while self._last and length + len(self._last[-1]) <= LAST_BYTES:
            last.append(self._last.pop())
            length += len(last[-1])
        left_out = self._later - len(last)
        if left_out:
            self._on_line(f"[{counted(left_out, 'line')} left out of the log]")
        for line in reversed(last):
            self._on_line(printable(line.decode("utf-8", "replace")))
        self._last.clear()
        self._later = 0


class OutputReader:
    """Reads the output of a program while it runs.

    :param on_line: called with the lines of stderr, and of stdout unless that is captured.
    :param capture: the limit of captured stdout in bytes; 0 to capture nothing.
    :ivar captured: the captured stdout.
    :ivar overflowed: True if more than the limit was printed.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], on_line: Callable[[str], None], capture: int
    ) -> None:
        self.captured = bytearray()
        self.overflowed = False
        self._capture = capture
        self._log = LineLog(on_line)
        self._unfinished_lines: dict[int, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._captured_fd = -1
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                self._register(pipe)
        if capture and process.stdout is not None:
            self._captured_fd = process.stdout.fileno()

    def _register(self, pipe: IO[bytes]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._selector.register(pipe.fileno(), selectors.EVENT_READ)

    def __enter__(self) -> OutputReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def read(self, timeout: float) -> bool:
        """Read what was printed, waiting up to *timeout* seconds; return True if that was anything."""
        found = False
        for key, _ in self._selector.select(timeout):
            try:
                data = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            if not data:
                self._selector.unregister(key.fd)
            found = found or bool(data)
            self._consume(key.fd, data)
        return found

    def drain(self) -> None:
        """Read the rest without waiting, up to what a pipe contains."""
        for _ in range(64):  # what was left running may print without end
            if not self._selector.get_map() or not self.read(0) or self.overflowed:
                break
        for fd in list(self._unfinished_lines):
            self._consume(fd, b"")
        self._log.close()

    def release(self) -> bool:
        """Leave the output to other processes that have it open; return True if there are any.

        They would be killed by SIGPIPE at their next line if nothing read it.
        """
        left = [key.fd for key in self._selector.get_map().values()]
        for fd in left:
            os.set_blocking(fd, True)
            discard(fd)
        return bool(left)

    def _consume(self, fd: int, data: bytes) -> None:
        if fd == self._captured_fd:
            self.captured += data
            if len(self.captured) > self._capture:
                self.overflowed = True
                del self.captured[self._capture :]
            return
        *lines, rest = (self._unfinished_lines.pop(fd, b"") + data).split(b"\n")
        if rest and (not data or len(rest) > LINE_BYTES):
            lines.append(rest)
        elif rest:
            self._unfinished_lines[fd] = rest
        self._log.add(lines)


def discard(fd: int) -> None:
    """Let a process of its own read a pipe to its end, also after the agent has ended."""
    # The shell ends at once, so that nobody has to wait for the reader.
    with contextlib.suppress(OSError):
        subprocess.run(
            ["/bin/sh", "-c", "exec 3<&0; cat <&3 >/dev/null &"],
            stdin=fd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            check=False,
        )


def printable(text: str) -> str:
    """Return a text that cannot move the cursor or begin a line in a terminal or a log."""
    return "".join(letter if letter.isprintable() else " " for letter in text.rstrip())
