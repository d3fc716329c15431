"""Renewing the grant that the agent runs on, once half of its time is over.

It knows of a grant only what :class:`Renewable` says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

LOG = logging.getLogger(__name__)

_LEAST_SECONDS = 1.0


class Terms(Protocol):
    """For how long a grant holds."""

    @property
    def ttl(self) -> int:
        """Seconds, from each renewal on."""

    @property
    def expires_at(self) -> str:
        """When it ends; ISO 8601."""


class Renewable(Protocol):
    """A grant at the service."""

    def show(self) -> Terms:
        """Its terms as they are."""

    def renew(self) -> Terms:
        """Let its time begin anew."""


class Renewal:
    """Renews one grant.

    :param now: the time of day, in seconds since 1970.
    """

    def __init__(self, grant: Renewable, now: Callable[[], float]) -> None:
        self._grant = grant
        self._now = now
        self._terms: Terms | None = None

    def attend(self) -> float:
        """Renew the grant if it is time to; in how many seconds to look again.

        :raises FactstoreError: not now.
        """
        if self._terms is None:
            self._terms = self._grant.show()
        due = self._due(self._terms)
        if due <= 0:
            self._terms = self._grant.renew()
            LOG.info("renewed the grant: it holds until %s", self._terms.expires_at)
            due = self._due(self._terms)
        return max(due, _LEAST_SECONDS)

    def _due(self, terms: Terms) -> float:
        end = datetime.fromisoformat(terms.expires_at.replace("Z", "+00:00")).timestamp()
        return end - terms.ttl / 2 - self._now()
