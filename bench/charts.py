"""Charts, their axes and their titles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """Title and axes of a plot.

    :param x: heading of the x axis; both axes are logarithmic.
    """

    title: str
    x: str
    y: str


CHARTS = {
    "connections": Chart("Requests a second", "connections", "requests/s"),
    "values": Chart("Requests a second", "bytes of a value", "requests/s"),
    "facts": Chart("CPU of a worker for a request", "facts of the stack", "µs"),
    "stacks": Chart("CPU of a worker for a request", "stacks", "µs"),
    "members": Chart("CPU of a worker for a request", "members of the stack", "µs"),
    "watchers": Chart("From a PUT to its last watcher", "watchers of the stack", "ms"),
}
