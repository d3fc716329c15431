"""The time for a try of a call, so that calls survive a member of etcd that does not answer.

A call has more time than one of its tries.  A try that takes longer than usual has probably been lost:
with the leader of etcd, with a member that is frozen, or on a broken link.  So it is given up, and
the call is tried again elsewhere.  If many tries in a row are given up, all of etcd is slow, and each
following one is given more time.
"""

from __future__ import annotations

READ_SECONDS = 0.4
"""For a call that may be repeated, and whose response is short."""

WRITE_SECONDS = 0.7
"""For a write, because it costs more to find out whether a lost one was applied."""

ROUNDS = 2  # of lost tries at all endpoints, after which the time is doubled
LONGEST_SECONDS = 10.0


class Patience:
    """The times for tries of one client.

    :param endpoints: their number.
    """

    def __init__(self, endpoints: int) -> None:
        self._enough = ROUNDS * endpoints
        self._lost = 0

    def seconds(self, usual: float) -> float:
        """Return the seconds for a try that usually has a certain time."""
        return min(usual * 2.0 ** (self._lost // self._enough), LONGEST_SECONDS)

    @property
    def tried(self) -> bool:
        """True if the last try was given up."""
        return self._lost > 0

    def note_loss(self) -> None:
        """Record that a try was given up."""
        self._lost = min(self._lost + 1, 6 * self._enough)

    def note_answer(self) -> None:
        """Record that a try was answered in time."""
        self._lost = 0
