"""The facts that renderers left out because their formats cannot represent them."""

from __future__ import annotations

import logging

from factstore.client.render import Omit

LOG = logging.getLogger(__name__)

_NAMED = 10


class Omissions:
    """Facts that were left out of the files of a configuration.

    :ivar problems: a text for each file that is not complete, by its section.
    """

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self._found: dict[str, list[str]] = {}

    def of(self, section: str) -> Omit:
        """Return a function that notes what is left out of the file of a section."""
        return lambda name, reason: self._found.setdefault(section, []).append(
            f"{name}, which {reason}"
        )

    def complete(self) -> None:
        """Replace the problems by those that were noted since the last call, and log new ones."""
        problems = {section: _text(found) for section, found in self._found.items()}
        for section, text in problems.items():
            if self.problems.get(section) != text:
                LOG.warning("[%s] %s", section, text)
        self.problems, self._found = problems, {}


def _text(found: list[str]) -> str:
    more = len(found) - _NAMED
    return f"left out {'; '.join(found[:_NAMED])}" + (f"; and {more} more" if more > 0 else "")
