"""The members of a stack that have ended lately, as this worker has seen it."""

from __future__ import annotations

from collections.abc import Container

NAMES = 1000


class EndedMembers:
    """The reasons why members have ended, for the last ones of them, since the worker has started."""

    __slots__ = ("_reasons",)

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def note(self, name: str, reason: str | None) -> None:
        """Note that a member has ended; without a reason, that it exists."""
        self._reasons.pop(name, None)
        if reason is None:
            return
        self._reasons[name] = reason
        if len(self._reasons) > NAMES:
            del self._reasons[next(iter(self._reasons))]

    def put_before(self, earlier: EndedMembers, living: Container[str]) -> None:
        """Add the members that had ended before, apart from those that have joined again."""
        later, self._reasons = self._reasons, {}
        for name, reason in (*earlier._reasons.items(), *later.items()):
            if name not in living:
                self.note(name, reason)

    def get(self, name: str) -> str | None:
        """Return why a member has ended; None if it exists, or nothing is known of it."""
        return self._reasons.get(name)
