"""The agent's log: lines on stderr, in the form that the journal or a terminal expects."""

from __future__ import annotations

import logging
import os
import sys

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))


class _JournalFormatter(logging.Formatter):
    """Lines that begin with their priority; the journal adds the time and the program."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>{record.getMessage()}"


def configure(level: str) -> None:
    """Log what the agent and the client report at this level or above."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    ours = logging.getLogger("factstore")
    ours.handlers[:] = [handler]
    ours.setLevel(level.upper())
    ours.propagate = False
    # At debug level the HTTP libraries log whole requests, credentials included.
    logging.getLogger().addHandler(logging.NullHandler())
