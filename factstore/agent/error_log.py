"""Complaining so that a log stays readable: once when something breaks, once when it works again."""

from __future__ import annotations

import logging
import re

from factstore.agent.errors import describe
from factstore.client.clock import Clock

LOG = logging.getLogger(__name__)

AGAIN_SECONDS = 600.0
_OBJECT = re.compile(r"<?[\w.]+ object at 0x[0-9a-f]+>?(: )?")


class Troubles:
    """What does not work at the moment, by what it is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: dict[str, tuple[object, float]] = {}

    def tell(self, what: str, error: Exception) -> None:
        """Something does not work; says so if that is news, or some time ago."""
        kind = (type(error), getattr(error, "status", None), getattr(error, "source", None))
        known, at = self._said.get(what, (None, 0.0))
        now = self._clock.monotonic()
        if known != kind or now - at >= AGAIN_SECONDS:
            self._said[what] = (kind, now)
            LOG.warning("%s: %s", what, _OBJECT.sub("", describe(error)))
        else:
            LOG.debug("%s, still: %s", what, _OBJECT.sub("", describe(error)))

    def over(self, what: str) -> None:
        """It works; says so if it did not."""
        if self._said.pop(what, None) is not None:
            LOG.info("%s: works again", what)
