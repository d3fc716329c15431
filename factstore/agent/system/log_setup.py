"""What the agent says of itself: lines on stderr, as the journal or a terminal wants them.

Only its own and the client's loggers speak, and never below what is configured: those of the libraries
beneath print whole requests when they are let.
"""

from __future__ import annotations

import logging
import os
import sys

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))


class _ForJournal(logging.Formatter):
    """Lines with their priority; the journal knows the time and the program."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((one for level, one in _PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>{record.getMessage()}"


def configure(level: str) -> None:
    """Let the agent speak."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_ForJournal())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    ours = logging.getLogger("factstore")
    ours.handlers[:] = [handler]
    ours.setLevel(level.upper())
    ours.propagate = False
    logging.getLogger().addHandler(logging.NullHandler())
