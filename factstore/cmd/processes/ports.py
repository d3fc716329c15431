"""Reserves free loopback ports, and remembers them across restarts.

A port is chosen before a server listens on it, and during a restart no server does. The process that
chooses a port therefore reserves it with an abstract Unix socket named after the port. The kernel knows
the sockets of all processes in this network namespace, and removes those of a process that exits. Ports
that the kernel chooses for connections and servers are outside the range.
"""

from __future__ import annotations

import errno
import secrets
import socket
from pathlib import Path

from factstore.cmd.processes.private_file import write_private

LOOPBACK = "127.0.0.1"

PORTS = range(10240, 32768)
"""Below Linux's range of ephemeral ports."""

_TRIES = 1000


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return True if a server can listen on ``port`` now. Another process may take it first."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Like servers, ignore connections of an earlier run in TIME_WAIT.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # On some kernels, bind alone succeeds beside a listener that also set SO_REUSEADDR.
            probe.listen(1)
        except OSError:
            return False
        return True


def free_port(among: range = PORTS) -> int:
    """Return a free port, and reserve it.

    The port is reserved for this process and its forks until they exit. A reservation takes one file
    descriptor. Raises OSError if no port is free.
    """
    for _ in range(_TRIES):
        port = secrets.choice(among)
        # Reserve first: the check listens on the port for a moment, which could disturb its owner.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as reservation:
            if _reserve(reservation, port) and is_free(port):
                reservation.detach()  # never closed: it lasts as long as the process
                return port
    raise OSError(errno.EADDRINUSE, f"found no free port from {among.start} to {among.stop - 1}")


def remembered_port(file: Path) -> int:
    """Return the port stored in ``file`` if it is free; otherwise store and return a new one.

    The address of a server thus stays the same when its supervisor restarts, because other processes
    have it in their configuration. An unreadable file is replaced. Raises OSError if the file cannot be
    written.
    """
    try:
        port = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        port = 0
    if 0 < port < 65536 and is_free(port):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as reservation:
            if _reserve(reservation, port):  # otherwise this process has reserved it before
                reservation.detach()
        return port
    port = free_port()
    write_private(file, f"{port}\n")
    return port


def _reserve(reservation: socket.socket, port: int) -> bool:
    """Reserve the port; return False if it is already reserved."""
    try:
        reservation.bind(f"\0factstore-port-{port}")
    except OSError:
        return False
    return True
