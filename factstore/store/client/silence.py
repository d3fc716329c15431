"""For how long a server has been silent, without the time in which this process stood still.

After such a time, the responses may be waiting in the socket, or the machine of the server stood still,
too.
"""

from __future__ import annotations

STOOD_STILL_SECONDS = 0.5
"""If a timer is this late, the process or its machine stood still."""


class Silence:
    """The times of a connection that a timer compares with the present.

    :ivar heard: when the server has last sent anything.
    :ivar asked: when the first of the running calls began.
    :ivar pinged: when the server was last asked for a sign of life.
    """

    def __init__(self) -> None:
        self.heard = self.asked = self.pinged = self._looked = 0.0

    def begin(self, now: float) -> None:
        """Count from now on."""
        self.heard = self._looked = now

    def look(self, now: float, period: float) -> float:
        """Return the seconds for which the server has been silent.

        :param period: the seconds after which the timer should have called again.
        """
        late = now - self._looked - period
        self._looked = now
        if late > STOOD_STILL_SECONDS:
            self.heard, self.asked, self.pinged = (
                min(now, at + late) for at in (self.heard, self.asked, self.pinged)
            )
        return now - self.heard
