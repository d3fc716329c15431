"""Execute a program that dies with its parent. Run this file as a script; do not import it.

``launch.py SIGNAL PARENT PROGRAM [ARGUMENT ...]`` requests SIGNAL from the kernel for the time when
PARENT exits, and then executes PROGRAM. It is a script and not a ``preexec_fn`` because the supervisor
may have threads, such as gRPC's, and running Python between fork and exec can then deadlock.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    number, parent, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # the parent exited before the call to prctl
        sys.exit(1)
    try:
        os.execvp(program, sys.argv[3:])  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"cannot execute {program}: {error.strerror}")
