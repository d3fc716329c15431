"""Run programs with a time limit, and without trusting their output.

A program that takes too long, prints too much or must stop is terminated together with all processes of
its session.  Processes that it leaves running are not waited for, and can go on printing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factstore.agent.system import exec_gate
from factstore.agent.system.executables import why_not_executable
from factstore.agent.system.process_session import signal_session
from factstore.agent.system.program_output import OutputReader
from factstore.client.clock import Clock

POLL_SECONDS = 0.1
GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL
_NOT_FOUND = (126, 127)  # the statuses of env and of shells
_SECRET_WORDS = ("PASSWORD", "PASSCODE", "SECRET", "TOKEN", "GRANT")


@dataclass(frozen=True)
class ProgramResult:
    """The end of a program.

    :param failure: the predicate of a sentence such as ``exited with status 1``; None on success.
    :param output: its standard output, if that was captured.
    :param left_running: True if other processes still have its output open.
    """

    failure: str | None
    output: bytes = b""
    left_running: bool = False


def program_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the agent's environment without its secrets, and with *more*."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not any(word in name.upper() for word in _SECRET_WORDS) and name != "NOTIFY_SOCKET"
    }
    return {**inherited, **more}


def run_program(
    program: Path,
    arguments: Sequence[str] = (),
    *,
    clock: Clock,
    timeout: float,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    capture: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
    on_start: Callable[[int], None] | None = None,
) -> ProgramResult:
    """Run a program until it ends.

    :param timeout: in seconds.
    :param on_line: called with the lines of stderr, and of stdout unless that is captured; if there are
        very many, with the first and the last ones.
    :param capture: the limit of captured stdout in bytes; 0 to capture nothing.
    :param should_stop: returns True if the program is to be terminated.
    :param on_start: called with the process id, which is also the id of the process group, before the
        program is executed.  If *on_start* does not return, because it raises or because the agent is
        killed, the program is never executed.
    """
    environment = program_environment(env)
    try:
        if on_start is None:
            stderr = subprocess.PIPE if capture else subprocess.STDOUT
            process = _start([program, *arguments], environment, stderr=stderr)
        else:
            process = _start_at_gate([program, *arguments], environment, on_start)
    except OSError as error:
        why = why_not_executable(program)
        return ProgramResult(f"cannot be executed: it {why}" if why else _refused(error))
    with process, OutputReader(process, on_line, capture) as output:
        deadline = clock.monotonic() + timeout
        failure = None
        while process.poll() is None and failure is None:
            output.read(POLL_SECONDS)
            if clock.monotonic() >= deadline:
                failure = f"took longer than {timeout:g} s"
            elif output.overflowed:
                failure = f"printed more than {capture} bytes"
            elif should_stop():
                failure = "was interrupted because the agent is stopping"
        if failure is not None:
            _terminate(process, output, clock)
        output.drain()
        if failure is None and output.overflowed:
            failure = f"printed more than {capture} bytes"
        left_running = output.release()
    status = process.returncode
    if failure is None and status:
        failure = (
            f"exited with status {status}" if status > 0 else f"was killed by signal {-status}"
        )
    if status in _NOT_FOUND and (why := why_not_executable(program)) is not None:
        failure = f"{failure}: it {why}"
    return ProgramResult(failure, bytes(output.captured), left_running)


def _refused(error: OSError) -> str:
    return f"cannot be executed: {error.strerror}"


def _start(
    command: Sequence[str | Path], env: Mapping[str, str], **options: Any
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the operator installed it to be run
        command,
        stdout=subprocess.PIPE,
        env=env,
        cwd="/",
        start_new_session=True,
        **{"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **options},
    )


def _start_at_gate(
    command: Sequence[str | Path], env: Mapping[str, str], on_start: Callable[[int], None]
) -> subprocess.Popen[bytes]:
    """Start a program that is executed after *on_start* has returned.

    :raises OSError: the program cannot be executed.
    """
    errors_fd, error_fd = os.pipe()
    with open(errors_fd, "rb") as errors:
        try:
            process = _start(
                [sys.executable, "-I", "-S", "-c", _gate(), str(error_fd), *command],
                env,
                stdin=subprocess.PIPE,
                pass_fds=(error_fd,),
            )
        finally:
            os.close(error_fd)
        with contextlib.ExitStack() as unless_executed:
            unless_executed.enter_context(process)
            on_start(process.pid)
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            with contextlib.suppress(BrokenPipeError), process.stdin as gate:
                gate.write(b"\n")
            number = errors.read()
            if number:
                raise OSError(int(number), os.strerror(int(number)))
            unless_executed.pop_all()
    return process


@functools.cache
def _gate() -> str:
    """Return the source of the gate, which is not a file on disk if the agent is a zip archive."""
    source = pkgutil.get_data(exec_gate.__package__, "exec_gate.py")
    assert source is not None  # noqa: S101 - all loaders of Python's own can read it
    return source.decode()


def _terminate(process: subprocess.Popen[bytes], output: OutputReader, clock: Clock) -> None:
    """Send SIGTERM to the session of the program, and SIGKILL after a while."""
    deadline = clock.monotonic() + GRACE_SECONDS
    signal_session(process.pid, signal.SIGTERM)
    while process.poll() is None and clock.monotonic() < deadline:
        output.read(POLL_SECONDS)
    signal_session(process.pid, signal.SIGKILL)
    process.wait()
