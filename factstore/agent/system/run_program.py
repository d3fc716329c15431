"""Running other people's programs: with a time limit, and without trusting what they print.

A program that takes too long, prints too much, or is to stop is ended with all that it has started and
that stayed in its session.  Whoever goes on with its output open is not waited for.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factstore.agent.system import exec_gate
from factstore.client.clock import Clock

LOOK_SECONDS = 0.1  # between looks whether it has ended
GRACE_SECONDS = 5.0  # between asking it to end and ending it
LINE_BYTES = 4096  # of a line that is handed on; longer ones come in pieces
_SECRETS = ("PASSWORD", "PASSCODE", "SECRET", "TOKEN", "GRANT")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    :param reason: what was wrong, as the end of a sentence; None if nothing was.
    :param output: what it printed, where that was wanted.
    """

    reason: str | None
    output: bytes = b""


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The agent's environment without what is secret in it, and with *more*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not any(word in name.upper() for word in _SECRETS) and name != "NOTIFY_SOCKET"
    }
    return {**kept, **more}


def run(
    program: Path,
    *,
    clock: Clock,
    timeout: float,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    keep: int = 0,
    stopping: Callable[[], bool] = lambda: False,
    on_start: Callable[[int], None] | None = None,
) -> Ended:
    """Run a program to its end.

    :param on_line: told each line that it prints to stderr, and to stdout unless that is kept.
    :param keep: bytes of stdout to keep; it is not to print more.  0 to keep none.
    :param stopping: whether to end it now.
    :param on_start: told its process id, which is that of its process group too, before it begins.  If
        this does not return, for it raises or the agent ends, the program never begins.
    """
    given = environment(env)
    try:
        process = _start([program], given) if on_start is None else _gated(program, given, on_start)
    except OSError as error:
        return Ended(f"cannot be run: {error.strerror}")
    with process, _Output(process, on_line, keep) as output:
        end = clock.monotonic() + timeout
        reason = None
        while process.poll() is None and reason is None:
            output.read(LOOK_SECONDS)
            if clock.monotonic() >= end:
                reason = f"took longer than {timeout:g} s"
            elif output.too_much:
                reason = f"printed more than {keep} bytes"
            elif stopping():
                reason = "was interrupted, for the agent stops"
        if reason is not None:
            _end(process, output, clock)
        output.rest()
        if reason is None and output.too_much:
            reason = f"printed more than {keep} bytes"
    status = process.returncode
    if reason is None and status:
        reason = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
    return Ended(reason, bytes(output.kept))


def _start(
    command: Sequence[str | Path], env: Mapping[str, str], **more: Any
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the operator put it there to be run
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd="/",
        start_new_session=True,
        **{"stdin": subprocess.DEVNULL, **more},
    )


def _gated(
    program: Path, env: Mapping[str, str], on_start: Callable[[int], None]
) -> subprocess.Popen[bytes]:
    """Start a program that begins when *on_start* has returned.

    :raises OSError: it cannot be run.
    """
    told, failed = os.pipe()
    with open(told, "rb") as reasons:
        try:
            process = _start(
                [sys.executable, "-I", "-S", exec_gate.__file__, str(failed), program],
                env,
                stdin=subprocess.PIPE,
                pass_fds=(failed,),
            )
        finally:
            os.close(failed)
        with contextlib.ExitStack() as unless_it_begins:
            unless_it_begins.enter_context(process)
            on_start(process.pid)
            assert process.stdin is not None  # noqa: S101 - it was asked for
            with contextlib.suppress(BrokenPipeError), process.stdin as opened:
                opened.write(b"\n")
            reason = reasons.read()
            if reason:
                raise OSError(int(reason), os.strerror(int(reason)))
            unless_it_begins.pop_all()
    return process


def _end(process: subprocess.Popen[bytes], output: _Output, clock: Clock) -> None:
    """Ask the program and all of its session to end; after a while have them ended."""
    end = clock.monotonic() + GRACE_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    while process.poll() is None and clock.monotonic() < end:
        output.read(LOOK_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Output:
    """What a program prints, read as it comes."""

    def __init__(
        self, process: subprocess.Popen[bytes], on_line: Callable[[str], None], keep: int
    ) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        assert process.stderr is not None  # noqa: S101
        self.kept = bytearray()
        self.too_much = False
        self._keep = keep
        self._on_line = on_line
        self._begun: dict[int, bytes] = {}
        self._kept_from = process.stdout.fileno() if keep else -1
        self._selector = selectors.DefaultSelector()
        for pipe in (process.stdout, process.stderr):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe.fileno(), selectors.EVENT_READ)

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def read(self, seconds: float) -> bool:
        """Take what is there, or comes in so many seconds; whether there was anything."""
        got = False
        for key, _ in self._selector.select(seconds):
            try:
                piece = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            if not piece:
                self._selector.unregister(key.fd)
            got = got or bool(piece)
            self._take(key.fd, piece)
        return got

    def rest(self) -> None:
        """Take what is left, and wait for nothing."""
        while self._selector.get_map() and self.read(0) and not self.too_much:
            pass
        for handle in list(self._begun):
            self._take(handle, b"")

    def _take(self, handle: int, piece: bytes) -> None:
        if handle == self._kept_from:
            self.kept += piece
            if len(self.kept) > self._keep:
                self.too_much = True
                del self.kept[self._keep :]
            return
        text = self._begun.pop(handle, b"") + piece
        *lines, rest = text.split(b"\n")
        if rest and (not piece or len(rest) > LINE_BYTES):
            lines.append(rest)
        elif rest:
            self._begun[handle] = rest
        for line in lines:
            for at in range(0, len(line), LINE_BYTES):
                self._on_line(printable(line[at : at + LINE_BYTES].decode("utf-8", "replace")))


def printable(text: str) -> str:
    """A text that moves no cursor and begins no line in whoever's terminal or log."""
    return "".join(each if each.isprintable() else " " for each in text.rstrip())
