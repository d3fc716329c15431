"""The exception that commands print as a message, without a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """A failure that the operator can act on.

    ``factstore.cmd.main`` prints the text to stderr and exits with *status*.
    """

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status
