"""Status notifications for systemd."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(**state: str) -> None:
    """Send assignments such as ``READY="1"`` to systemd; do nothing if systemd did not start us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    text = "\n".join(f"{name}={value}" for name, value in state.items())
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as systemd,
    ):
        systemd.sendto(
            text.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address
        )
