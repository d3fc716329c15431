"""A child process that is supervised and never left behind."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from factstore.client.os_errors import described

Pause = Callable[[float], None]
"""Called between two checks of a wait: ``time.sleep``, or a function that raises to end the wait."""

READY_SECONDS = 120.0
"""The longest time of a start that is not given up, since the machine may be busy with other things."""

_LAUNCHER = Path(__file__).with_name("launch.py")
_TAIL_BYTES = 16 * 1024


class ChildError(Exception):
    """A child could not be started, exited, or was not ready in time."""


class Process(Protocol):
    """The part of :class:`subprocess.Popen` that a :class:`Child` needs."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None:
        """Reap the process if it has exited; return its exit status, or None while it runs."""

    def send_signal(self, sig: int) -> None:
        """Send a signal unless the process has exited."""


class Child:
    """A process in its own session, so that a terminal's Ctrl-C reaches only the supervisor.

    When the *thread* that called :meth:`start` exits for any reason, the kernel sends ``death_signal``
    to the process. Start children from a thread that lives as long as they should. The signal reaches
    only the process itself, so a process that forks must stop its own children. While the supervisor
    lives, it kills the rest of the process group as soon as it notices that the process has exited.

    ``fileno`` supports :mod:`selectors`: readable means that the process has exited. Any thread may
    read ``running`` and call :meth:`poll`; everything else belongs to one thread.
    """

    def __init__(self, name: str, *, death_signal: signal.Signals = signal.SIGKILL) -> None:
        self.name = name
        self.death_signal = death_signal
        self._process: Process | None = None
        self._reaping = threading.RLock()
        self._exit_fd = -1
        self._log: Path | None = None
        self._log_start = 0

    def start(
        self,
        argv: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Run ``argv`` and append its output to ``log_path`` (mode 0600 if new).

        Raises ChildError if the process is already running or cannot be started.
        """
        if self.running:
            raise ChildError(f"{self.name} is already running as process {self.pid}")
        if shutil.which(argv[0]) is None:
            raise ChildError(f"cannot start {self.name}: the program {argv[0]} was not found")
        try:
            log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                log_start = os.fstat(log).st_size
                process = self._launch(argv, log, env, cwd)
            finally:
                os.close(log)
        except OSError as error:
            raise ChildError(f"cannot start {self.name}: {described(error)}") from error
        self._close()
        self._process, self._log, self._log_start = process, log_path, log_start
        self._exit_fd = os.pidfd_open(process.pid)

    def _launch(
        self, argv: Sequence[str], log: int, env: Mapping[str, str] | None, cwd: Path | None
    ) -> Process:
        """Start the process, whose output goes to the descriptor *log*. Raises OSError."""
        launch = [sys.executable, "-I", "-S", str(_LAUNCHER)]
        launch += [str(int(self.death_signal)), str(os.getpid())]
        return subprocess.Popen(  # noqa: S603 - the arguments are the caller's
            [*launch, *argv],
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id. Raises ChildError if the process was never started."""
        return self._started().pid

    def fileno(self) -> int:
        """Return a descriptor that is readable after the process has exited, until the next start."""
        self._started()
        return self._exit_fd

    @property
    def running(self) -> bool:
        """True if the process was started and has not exited."""
        return self._process is not None and self.poll() is None

    def poll(self) -> int | None:
        """Return the exit status (negative for a signal), or None while running or before the start."""
        process = self._process
        if process is None:
            return None
        with self._reaping:  # nobody else may reap it between the two steps
            if process.returncode is not None:
                return process.returncode
            # Do not reap yet: until then, the id of the group cannot be reused.
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self._signal_group(signal.SIGKILL)
            return process.poll()

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit status, or None if the process still runs after ``timeout`` seconds."""
        if self._started().returncode is None:
            poller = select.poll()
            poller.register(self._exit_fd, select.POLLIN)
            poller.poll(None if timeout is None else max(0.0, timeout) * 1000)
        return self.poll()

    def terminate(self, deadline: float = 5.0) -> int | None:
        """Send SIGTERM, and after ``deadline`` seconds kill the whole process group.

        Return the exit status, or None if the process was never started. It may have exited already.
        """
        if self.running:
            self.send_signal(signal.SIGTERM)
            self.resume()  # a stopped process does not handle signals
            self.wait(deadline)
        return self.kill()

    def kill(self) -> int | None:
        """Send SIGKILL to the process group, and reap the process."""
        if self._process is None:
            return None
        self._signal_group(signal.SIGKILL)
        status = self.wait()
        self._close()
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, unless it has exited."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def pause(self) -> None:
        """Stop the process group with SIGSTOP. The processes keep their sockets.

        Return when the process has stopped: on a busy machine its threads may run for a moment.
        """
        self._signal_group(signal.SIGSTOP)
        if self.running and self._process is not None:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._signal_group(signal.SIGCONT)

    def children(self) -> list[int]:
        """Return the process ids of the direct children, oldest first."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                # The name of the command is in parentheses and may contain spaces and ")".
                fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # the process has exited in the meantime
            state, parent, started = fields[0], int(fields[1]), int(fields[19])
            if parent == self.pid and state != "Z":
                found.append((started, int(stat.parent.name)))
        return [pid for _, pid in sorted(found)]

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of output of this run, for an error message."""
        if self._log is None:
            return ""
        try:
            with self._log.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_start, end - _TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def exit_message(self) -> str:
        """Return a sentence with the exit status, followed by the last lines of the log."""
        return self._with_tail(f"{self.name} ended with status {self.poll()}")

    def wait_until(
        self, ready: Callable[[], bool], deadline: float, pause: Pause = time.sleep
    ) -> None:
        """Wait until ``ready()`` is true while the process runs.

        Raises ChildError, with the last lines of the log, if the process exits first or ``deadline``
        seconds pass. ``pause`` may raise to end the wait earlier.
        """
        end = time.monotonic() + deadline
        while not ready():
            if not self.running:
                raise ChildError(self.exit_message())
            if time.monotonic() >= end:
                raise ChildError(self._with_tail(f"{self.name} was not ready after {deadline:g} s"))
            pause(0.02)
        if not self.running:  # another process has answered
            raise ChildError(self.exit_message())

    def _with_tail(self, message: str) -> str:
        tail = self.tail()
        return f"{message}; its last lines, from {self._log}:\n{tail}" if tail else message

    def _started(self) -> Process:
        if self._process is None:
            raise ChildError(f"{self.name} was never started")
        return self._process

    def _signal_group(self, number: signal.Signals) -> None:
        with self._reaping:
            if self._process is not None and self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)

    def _close(self) -> None:
        if self._exit_fd >= 0:
            os.close(self._exit_fd)
            self._exit_fd = -1


def run_to_end(
    child: Child,
    argv: Sequence[str],
    *,
    log_path: Path,
    deadline: float,
    env: Mapping[str, str] | None = None,
    pause: Pause = time.sleep,
) -> None:
    """Run a program to its end. Raises ChildError unless it exits in time with status 0.

    If ``pause`` raises, the program is killed first.
    """
    child.start(argv, log_path=log_path, env=env)
    end = time.monotonic() + deadline
    try:
        while (status := child.wait(0.1)) is None:
            pause(0)
            if time.monotonic() >= end:
                raise ChildError(f"{child.name} did not end within {deadline:g} s")
        if status != 0:
            raise ChildError(child.exit_message())
    finally:
        child.kill()


def python_environment() -> dict[str, str]:
    """Return the environment for a Python child: unbuffered, and without a proxy for loopback."""
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    env.pop("GUNICORN_CMD_ARGS", None)  # would override the configuration of the child
    present = env.get("no_proxy") or env.get("NO_PROXY") or ""
    without = ",".join(filter(None, [present, "127.0.0.1", "localhost"]))
    return {**env, "no_proxy": without, "NO_PROXY": without}
