"""Renewal of the agent's grant, when half of its lifetime is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

LOG = logging.getLogger(__name__)

_SHORTEST_PAUSE = 1.0


class GrantTerms(Protocol):
    """The lifetime of a grant."""

    @property
    def ttl(self) -> int:
        """Seconds from each renewal to the expiry."""

    @property
    def expires_at(self) -> str:
        """The time of the expiry, in ISO 8601."""


class RenewableGrant(Protocol):
    """A grant at the service."""

    def show(self) -> GrantTerms:
        """Return the current terms."""

    def renew(self) -> GrantTerms:
        """Renew the grant and return its new terms."""


class GrantRenewal:
    """Renews one grant.

    :param now: returns the time of day, in seconds since 1970.
    """

    def __init__(self, grant: RenewableGrant, now: Callable[[], float]) -> None:
        self._grant = grant
        self._now = now
        self._terms: GrantTerms | None = None

    def renew_if_due(self) -> float:
        """Renew the grant if half of its lifetime is over; return the seconds until the next call.

        :raises FactstoreError: the service cannot answer now.
        """
        if self._terms is None:
            self._terms = self._grant.show()
        pause = self._seconds_until_due(self._terms)
        if pause <= 0:
            self._terms = self._grant.renew()
            LOG.info("renewed the grant until %s", self._terms.expires_at)
            pause = self._seconds_until_due(self._terms)
        return max(pause, _SHORTEST_PAUSE)

    def _seconds_until_due(self, terms: GrantTerms) -> float:
        expiry = datetime.fromisoformat(terms.expires_at.replace("Z", "+00:00")).timestamp()
        return expiry - terms.ttl / 2 - self._now()
