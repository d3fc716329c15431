"""A copy of an agent: another one, whose state directory was copied from this agent's.

Both have the same name and credential, so neither could tell the other from itself.  The copy leaves a
mark with the member's results, and the original finds it there.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from pathlib import Path

from factstore.agent.errors import RETRYABLE, describe
from factstore.client import Stack
from factstore.client.errors import NotFound

LOG = logging.getLogger(__name__)

MARK_SECONDS = 3600
"""Time to live of a mark."""


class CopyMark:
    """The mark of a copy, below the results of the member that it would be."""

    def __init__(self, stack: Stack, member: str) -> None:
        self._stack = stack
        self._member = member
        self._known: str | None = None
        self._path = f"results/{member}/agent/copy"

    def leave(self, directory: Path) -> None:
        """Report a copy, which is on this host in *directory*.

        :raises FactstoreError: the service cannot answer now, or refuses the mark.
        """
        text = f"{socket.gethostname()}:{directory}"
        self._stack.put(self._path, text, ttl=MARK_SECONDS)

    def check(self) -> str | None:
        """Return the host and the directory of a copy, and log them once; None if none is known."""
        try:
            place: str | None = str(self._stack.get(self._path).value)
        except NotFound:
            place = None
        except RETRYABLE as error:
            LOG.debug("it is not known whether this agent has a copy: %s", describe(error))
            return self._known
        if place not in (None, self._known):
            LOG.error(
                "the state directory was copied to %s, where an agent wants to be member %s, too; "
                "clear that directory, or give that agent a name of its own",
                *(place, self._member),
            )
        self._known = place
        return place

    def remove(self) -> None:
        """Remove the mark, because the original has expired and the copy takes its place.

        :raises FactstoreError: the service cannot answer now.
        """
        with contextlib.suppress(NotFound):
            self._stack.delete(self._path)
