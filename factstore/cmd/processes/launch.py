"""Become another program that dies with its parent: run as a script, never imported.

``launch.py SIGNAL PARENT PROGRAM [ARGUMENT ...]`` asks the kernel for SIGNAL when PARENT ends, then
executes PROGRAM in its place. It is a program rather than a ``preexec_fn`` because the supervisor
may have threads (gRPC's, for one), and running Python between fork and exec can then deadlock.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    number, parent, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel knew that we care
        sys.exit(1)
    try:
        os.execvp(program, sys.argv[3:])  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"cannot execute {program}: {error.strerror}")
