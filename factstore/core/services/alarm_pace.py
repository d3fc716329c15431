"""The pace of alarms: each costs at most one write a second, however often its condition changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from factstore.core.ports import Clock
from factstore.core.state.standing_alarms import AlarmDecision

WRITE_SECONDS = 1.0


class AlarmPace:
    """Selects the decisions that are due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[tuple[str, str], tuple[int, float]] = {}
        self._found: dict[tuple[str, str], tuple[int, float]] = {}

    def due(self, decisions: Iterable[AlarmDecision]) -> list[AlarmDecision]:
        """Return the decisions of one stack that are due."""
        ready = []
        for decision in decisions:
            key, revision = (decision.stack_id, decision.alarm.name), decision.alarm.revision
            known = self._due.get(key)
            if known is None or known[0] != revision:
                known = revision, self._clock.monotonic() + self._left(decision)
            if known[1] <= self._clock.monotonic():
                ready.append(decision)
                known = revision, self._clock.monotonic() + WRITE_SECONDS  # in case the write fails
            self._found[key] = known
        return ready

    def end_round(self) -> float:
        """Forget the alarms that have no decision; return the seconds until the next one is due."""
        self._due, self._found = self._found, {}
        now = self._clock.monotonic()
        return max(0.0, min((at - now for _, at in self._due.values()), default=WRITE_SECONDS))

    def _left(self, decision: AlarmDecision) -> float:
        """Return the seconds until an alarm may be written again; at most a second."""
        if not decision.alarm.written_at:
            return 0.0
        now = datetime.fromisoformat(self._clock.timestamp())
        age = (now - datetime.fromisoformat(decision.alarm.written_at)).total_seconds()
        # Workers' clocks differ, and the other one may be ahead.
        return min(WRITE_SECONDS, max(0.0, WRITE_SECONDS - age))
