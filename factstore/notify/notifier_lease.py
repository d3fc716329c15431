"""A notifier's lease: while it lasts, no other notifier owns the same subscriptions.

etcd counts the time of a lease from when it has received a renewal, the notifier from before it sent
the renewal.  So the notifier ends its requests before another one can begin.  A leader of etcd that was
paused can revoke a lease early; the notifier then stops when it sees that its record was deleted.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import suppress

from factstore.core.errors import FactstoreError
from factstore.core.ports import Clock, Store
from factstore.notify.concurrency import Concurrency

LOG = logging.getLogger(__name__)

TTL = 10  # seconds
RENEW_SECONDS = 3.0
MARGIN_SECONDS = 1.0  # between the end of sending and the earliest end of the lease
RETRY_SECONDS = 0.5


class NotifierLease:
    """Creates a lease and renews it.

    :param timeout: seconds after which a call to the store counts as failed.
    :param lost: called when the lease has expired.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        timeout: float,
        concurrency: Concurrency,
        lost: Callable[[], object],
    ) -> None:
        self._store = store
        self._clock = clock
        self._timeout = min(timeout, RENEW_SECONDS)
        self._concurrency = concurrency
        self._lost = lost
        self._stopped = concurrency.new_signal()
        self._until = -math.inf
        self.id = 0

    def allowed_until(self) -> float:
        """Return the instant until which the notifier may send."""
        return self._until

    def create(self) -> None:
        """Create the lease, and renew it from now on. Raises FactstoreError."""
        sent_at = self._clock.monotonic()
        if (
            self.id
        ):  # what is on it in a restored store would have to expire before it is owned again
            with suppress(FactstoreError):
                self._store.revoke_lease(self.id, sent_at + self._timeout)
        self.id = self._store.create_lease(TTL, sent_at + self._timeout)
        self._until = sent_at + TTL - MARGIN_SECONDS
        lease = self.id
        self._concurrency.spawn(lambda: self._renew(lease))

    def _renew(self, lease: int) -> None:
        pause = RENEW_SECONDS
        while not self._stopped.wait(pause) and not self._stopped.is_set() and self.id == lease:
            sent_at = self._clock.monotonic()
            try:
                renewed = self._store.renew_lease(lease, sent_at + self._timeout)
            except FactstoreError as error:
                LOG.info("the lease is not renewed yet: %s", error)
                pause = RETRY_SECONDS
                continue
            except Exception:
                LOG.exception("the lease could not be renewed; trying again")
                pause = RETRY_SECONDS
                continue
            if self.id != lease:
                return
            if not renewed:
                self._until = -math.inf
                LOG.warning("the lease has expired; other notifiers deliver its subscriptions")
                self._lost()
                return
            self._until = sent_at + TTL - MARGIN_SECONDS
            pause = RENEW_SECONDS

    def abandon(self) -> None:
        """Stop sending and renewing, because etcd has revoked the lease before its time was over."""
        self.id, self._until = 0, -math.inf

    def end(self) -> None:
        """Revoke the lease, so that others take over at once."""
        self._stopped.set()
        self._until = -math.inf
        if self.id:
            self._store.revoke_lease(self.id, self._clock.monotonic() + self._timeout)
