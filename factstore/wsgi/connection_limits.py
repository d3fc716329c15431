"""Bounds of a worker's connections, for servers that leave them to this service."""

from __future__ import annotations

from factstore.core.model.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of a worker's connections.

    :param idle_seconds: without a request.
    :param read_seconds: for a header, and for each piece of a body.
    :param write_seconds: for a write of which the client reads nothing.
    :param body_bytes: of all bodies that a worker is receiving.
    """

    idle_seconds: float
    read_seconds: float
    write_seconds: float
    body_bytes: int
