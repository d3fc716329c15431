"""Start Python programs as forks of a process that has imported their modules.

Importing the modules of a service takes a second of processor time, and a run of the tests starts
hundreds of services and agents. A template is a process that has imported them and does nothing else.
Each program is a fork of it, with the environment, the files and the parent that it otherwise has.

A few tests run programs by their commands: those about starts, reloads and installations.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_LARGEST_ORDER = 1 << 20
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class Template:
    """A process that imports a module and all that it imports when the first program is started.

    It ends with this process, which waits for that.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        entry: str,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        files: Sequence[int],
        cwd: Path | None = None,
        death_signal: int = signal.SIGKILL,
    ) -> Fork:
        """Run a function as a child of this process, in a session of its own.

        :param entry: a module and a function without arguments, such as ``package.module:main``.
        :param files: the descriptors of its standard streams.
        :param death_signal: sent to it when the main thread of this process ends.
        """
        order = {
            "entry": entry,
            "arguments": list(arguments),
            "env": dict(env),
            "cwd": str(cwd or Path.cwd()),
            "death_signal": int(death_signal),
            "parent": os.getpid(),
        }
        with self._lock:
            control = self._control = self._control or self._begin()
            # The process between the template and the program exits, and the program becomes our child.
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)
            try:
                socket.send_fds(control, [json.dumps(order).encode()], list(files))
                answer = control.recv(64)
            finally:
                _prctl(_PR_SET_CHILD_SUBREAPER, 0)
        if not answer:
            raise RuntimeError(f"the template {self._module} has ended")
        return Fork(int(answer))

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST_ORDER)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, self._module, str(theirs.fileno())],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self._end, os.getpid())
        return ours

    def _end(self, owner: int) -> None:
        if self._process is not None and os.getpid() == owner:  # not in a fork of this process
            self._process.kill()
            self._process.wait()


class Fork:
    """A program that a template has started; it has the methods of Popen that :class:`Child` calls."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, or None while the program runs."""
        return self._wait(os.WNOHANG)

    def wait(self, deadline: float) -> int:
        """Wait for the end of the program, and return its exit status.

        :raises subprocess.TimeoutExpired: it did not end in time and was killed.
        """
        if self.returncode is None:
            end = os.pidfd_open(self.pid)
            ended, _, _ = select.select([end], [], [], deadline)
            os.close(end)
            if not ended:
                os.kill(self.pid, signal.SIGKILL)
                self._wait(0)
                raise subprocess.TimeoutExpired(str(self.pid), deadline)
        status = self._wait(0)
        assert status is not None
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl failed")


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork a process for each order; return in the processes that run one."""
    while True:
        message, files, _, _ = socket.recv_fds(control, _LARGEST_ORDER, 3)
        if not message:
            os._exit(0)  # the process of the tests has ended
        order: dict[str, Any] = json.loads(message)
        if between := os.fork():
            os.waitpid(between, 0)
            for file in files:
                os.close(file)
            continue
        between = os.getpid()
        if os.fork():
            os._exit(0)
        while (parent := os.getppid()) == between:
            time.sleep(0.000_5)
        _prctl(_PR_SET_PDEATHSIG, order["death_signal"])
        if parent != order["parent"] or os.getppid() != parent:
            os._exit(1)
        os.setsid()
        control.send(str(os.getpid()).encode())
        control.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return order


def _run(order: Mapping[str, Any]) -> object:
    """Run an order in its process."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    name, _, function = order["entry"].partition(":")
    module = importlib.import_module(name)
    sys.argv = [str(module.__file__), *order["arguments"]]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for the life of the process
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(n, "w", closefd=False), write_through=True) for n in (1, 2)
    )
    return getattr(module, function)()


def main(module: str, control: str) -> object:
    """Be a template."""
    importlib.import_module(module).load()
    assert threading.active_count() == 1, "threads do not survive a fork"
    assert len(os.listdir("/proc/self/task")) == 1
    gc.collect()
    gc.freeze()
    return _run(_serve(socket.socket(fileno=int(control))))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))  # type: ignore[arg-type]
