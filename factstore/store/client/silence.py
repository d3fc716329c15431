"""For how long a server has been silent, without the time in which this process stood still.

After such a time, the responses may be waiting in the socket, or the machine of the server stood still,
too.
"""

from __future__ import annotations

from factstore.core.standstill import Standstills


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

    def look(self, now: float, period: float) -> float:
        """Return the seconds for which the server has been silent.

        :param period: the seconds after which the timer should have called again.
        """
        standstill = self._standstills.measure(now, period)
        if standstill:
            self.heard, self.asked, self.pinged = (
                min(now, at + standstill) for at in (self.heard, self.asked, self.pinged)
            )
        return now - self.heard
