"""Renewal of the agent's grant, when half of its lifetime is over.

The time of day of this instance may be wrong, so the lifetime is that by the clock of the service.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
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

    @property
    def remaining(self) -> float | None:
        """Seconds from the response to the expiry; None if they are not known."""


class RenewableGrant(Protocol):
    """A grant at the service."""

    def show(self) -> GrantTerms:
        """Return the current terms."""

    def renew(self) -> GrantTerms:
        """Renew the grant and return its new terms."""


class GrantRenewal:
    """Renews one grant.

    :param elapsed: returns seconds that no step of the time of day changes, and that also pass while
        the machine is suspended.
    """

    def __init__(self, grant: RenewableGrant, elapsed: Callable[[], float]) -> None:
        self._grant = grant
        self._elapsed = elapsed
        self._due: float | None = None

    def renew_if_due(self) -> float:
        """Renew the grant if half of its lifetime is over; return the seconds until the next call.

        :raises FactstoreError: the service cannot answer now.
        """
        # The lifetime counts from before the request, so that a slow answer makes it no longer.
        now = self._elapsed()
        if self._due is None:
            terms = self._grant.show()
            # Without the time of the service, the age of the grant is not known.
            left = 0.0 if terms.remaining is None else min(terms.remaining, terms.ttl)
            self._due = now + left - terms.ttl / 2
        if self._due <= now:
            terms = self._grant.renew()
            LOG.info("renewed the grant until %s", terms.expires_at)
            self._due = now + terms.ttl / 2
        return max(self._due - self._elapsed(), _SHORTEST_PAUSE)
