"""The process that runs the hook of a configuration, and survives the agent.

:mod:`factstore.agent.deploy.runs` runs this source as a program, in the directory of the run.  It reads
the hook's input, whose first line is its length, and then runs the hook.  If the input is not complete,
because the agent was killed, the hook is never run.  The hook's output and the status of its end are
files in the directory.  So an agent that was restarted finds the result of a hook that ended meanwhile.

A hook that takes too long is ended with all its descendants, also those with a session of their own.
Processes that a hook leaves running when it ends are not touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

GRACE_SECONDS = 5.0  # between SIGTERM and SIGKILL
_POLL_SECONDS = 0.1
_OUTPUT_BYTES = 16 * 1024 * 1024  # of each output; a hook that prints more is ended
_PR_SET_CHILD_SUBREAPER = 36


def supervise(hook: str, timeout: float) -> None:
    """Run a hook in the current directory, and store the status of its end."""
    length = sys.stdin.buffer.readline()
    data = sys.stdin.buffer.read()
    if not length.strip().isdigit() or len(data) != int(length):
        return
    # The kernel makes this process the parent of descendants whose parents end: _end finds them so.
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _store("began", b"")
    # Python ignores these signals, and the hook would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        status, failure = _run(hook, data, time.monotonic() + timeout, timeout)
    except OSError as error:
        status, failure = 127, f"cannot be executed: {error.strerror}"
    _store("ended", json.dumps({"status": status, "failure": failure}).encode())


def _run(hook: str, data: bytes, deadline: float, timeout: float) -> tuple[int, str | None]:
    with open("stdout", "ab") as out, open("stderr", "ab") as err, open("input", "w+b") as given:
        os.unlink("input")  # it may contain secrets
        given.write(data)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - the operator installed it to be run
            [hook], stdin=given, stdout=out, stderr=err, cwd="/", preexec_fn=os.setpgrp
        )
        failure = None
        while failure is None:
            try:
                process.wait(_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() >= deadline:
                    failure = f"took longer than {timeout:g} s"
                elif max(os.fstat(each.fileno()).st_size for each in (out, err)) > _OUTPUT_BYTES:
                    failure = f"printed more than {_OUTPUT_BYTES} bytes"
                elif os.path.exists("cancel"):
                    failure = "was ended, because its action was cancelled or has timed out"
        if failure is not None:
            _end(process)
        return process.returncode, failure


def _end(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to the hook and its descendants, and SIGKILL after a while."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE_SECONDS
        targets = found = _descendants(process)
        while found and time.monotonic() < deadline:
            for each in targets:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(each, number)
            time.sleep(_POLL_SECONDS)
            found = _descendants(process)
            # A handler of SIGTERM may start processes, which then have until SIGKILL.
            targets = found if number == signal.SIGKILL else []
    process.wait()


def _descendants(hook: subprocess.Popen[bytes]) -> list[int]:
    """Return the descendants of this process that run; reap those that do not, except the hook."""
    children: dict[int, list[int]] = {}
    ended = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                children.setdefault(int(parent), []).append(int(name))
                if state in (b"Z", b"X"):
                    ended.add(int(name))
    for each in ended.intersection(children.get(os.getpid(), ())) - {hook.pid}:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(each, os.WNOHANG)
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), ())
        waiting += below
        found += below
    return [each for each in found if each not in ended]


def _store(name: str, data: bytes) -> None:
    """Write a file durably; no reader sees a part of it."""
    with open(f".{name}", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f".{name}", name)
    handle = os.open(".", os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    supervise(sys.argv[1], float(sys.argv[2]))
