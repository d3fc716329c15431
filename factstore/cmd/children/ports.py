"""Loopback ports: finding a free one, and finding the same one again."""

from __future__ import annotations

import socket
from pathlib import Path

from factstore.cmd.children.private_file import write_private

LOOPBACK = "127.0.0.1"


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


def free_port(host: str = LOOPBACK) -> int:
    """A port that nobody listened on a moment ago, from the kernel's ephemeral range."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


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
        return port
    port = free_port()
    write_private(file, f"{port}\n")
    return port
