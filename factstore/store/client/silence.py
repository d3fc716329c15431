"""Decides whether a connection is lost because its server is silent.

The time in which this process stood still does not count: after it, the responses may be waiting in the
socket, or the machine of the server stood still, too.
"""

from __future__ import annotations

from factstore.core.standstill import Standstills

SILENT_SECONDS = 3.0
"""After which a connection counts as lost if it is silent although calls are running."""

PING_SECONDS = 10.0
PONG_SECONDS = 5.0
"""A connection with nothing but streams is asked for a sign of life after the first time, and counts as
lost after the second one.  etcd does not allow more questions than one in five seconds."""


class Silence:
    """The times of a connection that a timer compares with the present.

    :ivar heard: when the server has last sent anything.
    :ivar asked: when the first of the running calls began.
    :ivar pinged: when the server was last asked for a sign of life.
    """

    def __init__(self) -> None:
        self.heard = self.asked = self.pinged = 0.0
        self._standstills = Standstills(0.0)

    def begin(self, now: float) -> None:
        """Count from now on."""
        self.heard = now
        self._standstills = Standstills(now)

    def look(self, now: float, period: float) -> None:
        """Leave out the time in which this process stood still.

        :param period: the seconds after which the timer should have called again.
        """
        standstill = self._standstills.measure(now, period)
        if standstill:
            self.heard, self.asked, self.pinged = (
                min(now, at + standstill) for at in (self.heard, self.asked, self.pinged)
            )

    def lost(self, now: float, *, busy: bool) -> str:
        """Return why the connection counts as lost, as a predicate; empty if it does not.

        :param busy: True if calls with one response are running.
        """
        silent = now - self.heard
        if busy and min(silent, now - self.asked) > SILENT_SECONDS:
            return f"has not answered for {SILENT_SECONDS:g} s"
        if silent > PING_SECONDS and self.pinged >= self.heard and now - self.pinged > PONG_SECONDS:
            return f"has not answered a ping for {PONG_SECONDS:g} s"
        return ""

    def needs_ping(self, now: float) -> bool:
        """Return True if the server has to be asked for a sign of life, which is noted."""
        needed = now - self.heard > PING_SECONDS and self.pinged < self.heard
        if needed:
            self.pinged = now
        return needed
