"""Telling systemd how it goes, if it wants to know."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(**what: str) -> None:
    """Send such as ``READY="1"`` or ``STATUS="..."``; without systemd nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    text = "\n".join(f"{name}={value}" for name, value in what.items())
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as systemd,
    ):
        systemd.sendto(
            text.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address
        )
