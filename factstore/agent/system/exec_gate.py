"""The process in which a hook waits until its process id is on disk.

:mod:`factstore.agent.system.run_program` runs this source as a program.  The process reads a line from
its input and then executes the program, which inherits its process id, group and session.  If the input
ends without a line, because the agent was killed, the program is never started.  A program that
cannot be executed is reported as an errno, in digits, on a file descriptor.
"""

from __future__ import annotations

import os
import signal
import sys


def exec_when_released(error_fd: int, command: list[str]) -> None:
    """Replace this process with *command*; return if the program is not to start or cannot start."""
    os.set_inheritable(error_fd, False)
    if sys.stdin.buffer.readline() != b"\n":
        return
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    # Python ignores these signals, and the program would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(command[0], command, _environment())  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(error_fd, str(error.errno).encode())


def _environment() -> dict[bytes, bytes]:
    """Return the environment of this process without the variables that Python adds in a C locale."""
    with open("/proc/self/environ", "rb") as file:
        pairs = file.read().split(b"\0")
    return dict(pair.split(b"=", 1) for pair in pairs if b"=" in pair)


if __name__ == "__main__":
    exec_when_released(int(sys.argv[1]), sys.argv[2:])
