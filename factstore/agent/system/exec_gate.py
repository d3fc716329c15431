"""The process in which a hook waits until its process id is on disk.

:mod:`factstore.agent.system.run_program` runs it as a script.

It becomes the program named after ``failed`` once it has read a line from its input, with the process
id, group and session that it has.  If its input ends without a line it ends, and the program never
began.  It writes to the file descriptor *failed* why the program cannot be run: an errno, in digits.
"""

from __future__ import annotations

import os
import signal
import sys


def wait(failed: int, program: str) -> None:
    """Become *program* once that is wanted; returns only if it is not to be, or cannot be."""
    os.set_inheritable(failed, False)
    if sys.stdin.buffer.readline() != b"\n":
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    for each in (
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):  # Python ignores them, and that would be inherited
        signal.signal(each, signal.SIG_DFL)
    try:
        os.execve(program, [program], _environment())  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(failed, str(error.errno).encode())


def _environment() -> dict[bytes, bytes]:
    """What this process was given, without what Python adds in a bare locale."""
    with open("/proc/self/environ", "rb") as given:
        pairs = given.read().split(b"\0")
    return dict(pair.split(b"=", 1) for pair in pairs if b"=" in pair)


if __name__ == "__main__":
    wait(int(sys.argv[1]), sys.argv[2])
