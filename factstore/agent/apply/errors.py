"""Reasons why a context was not applied."""

from __future__ import annotations


class ApplyError(Exception):
    """A context could not be applied.

    :ivar source: the file or hook that failed.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class TurnRequired(Exception):
    """Hooks or commands have to run, and the agent does not hold the turn.  Nothing was done."""


class FilesSettling(Exception):
    """Some files are not written yet, because their content may change again soon.

    :ivar pause: the seconds after which the context is to be applied again.
    """

    def __init__(self, pause: float) -> None:
        super().__init__(f"some files are written in {pause:.1f} s")
        self.pause = pause
