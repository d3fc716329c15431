"""The one exception that a command turns into a message instead of a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """The command cannot go on, for a reason the operator can act upon.

    ``factstore.cmd.main`` prints its text on stderr and exits with *status*.
    """

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status
