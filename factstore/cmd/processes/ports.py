"""Loopback ports: finding one that nobody else will take, and finding the same one again.

A port is chosen some time before a server listens on it, and while that is down for a restart
nobody does. So who chooses one also claims it, by an abstract Unix socket that bears its number:
the kernel knows the claims of all processes in this network, and forgets those of a process that
ended. Connections and servers that leave the choice to the kernel get none of these ports.
"""

from __future__ import annotations

import errno
import secrets
import socket
from pathlib import Path

from factstore.cmd.processes.private_file import write_private

LOOPBACK = "127.0.0.1"

PORTS = range(10240, 32768)
"""Below those that Linux gives to whoever does not ask for a certain one."""

_TRIES = 1000


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on ``port`` now. Somebody else may still be faster."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run in TIME_WAIT do not make a port busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # bind alone succeeds beside a listener that also set SO_REUSEADDR on some kernels.
            probe.listen(1)
        except OSError:
            return False
        return True


def free_port(among: range = PORTS) -> int:
    """A port that nobody listens on.

    No other call gets it, in whichever process, until this process and those it forked have
    ended. Each call costs a file descriptor for as long. Raises OSError if there is none.
    """
    for _ in range(_TRIES):
        port = secrets.choice(among)
        # Claimed first: looking means listening for a moment, which would trouble its owner.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
            if _claimed(claim, port) and is_free(port):
                claim.detach()  # never closed: the claim is to last as long as the process
                return port
    raise OSError(errno.EADDRINUSE, f"found no free port from {among.start} to {among.stop - 1}")


def remembered_port(file: Path) -> int:
    """The port noted in ``file`` if it is still free, else a new one, which is then noted.

    Keeps a server's address stable over restarts of its supervisor, because other processes have
    it in their configuration. An unreadable note counts as none. Raises OSError if it cannot be
    written.
    """
    try:
        port = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        port = 0
    if 0 < port < 65536 and is_free(port):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
            if _claimed(claim, port):  # if not, this process did so when it noted the port
                claim.detach()
        return port
    port = free_port()
    write_private(file, f"{port}\n")
    return port


def _claimed(claim: socket.socket, port: int) -> bool:
    """Whether ``claim`` made the port its own: there was no other claim."""
    try:
        claim.bind(f"\0factstore-port-{port}")
    except OSError:
        return False
    return True
