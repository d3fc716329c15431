"""Gives members their time again after a gap in which this worker could not pass on their heartbeats.

While etcd does not answer, or a worker cannot reach it, heartbeats fail through no fault of the
members.  Some of their leases are then about to expire.  The first heartbeat that succeeds after the
gap restarts the time of all members, so that each of them has its ttl to send another one.  A member
that has really failed meanwhile expires up to one ttl later.
"""

from __future__ import annotations

import _thread
import logging

from factstore.core.errors import FactstoreError
from factstore.core.model.counts import counted
from factstore.core.ports import Clock, Store

LOG = logging.getLogger(__name__)

GAP_SECONDS = 5.0  # without a heartbeat that succeeded; a shorter gap endangers no member


class HeartbeatGap:
    """The gaps in the heartbeats that this worker passes on.

    :param timeout: seconds for each renewal.
    """

    def __init__(self, store: Store, clock: Clock, timeout: float) -> None:
        self._store = store
        self._clock = clock
        self._timeout = timeout
        self._failing_since: float | None = None
        self.renewing = False
        """True while members get their time again."""

    def failed(self, began: float) -> None:
        """Note that a heartbeat, which was sent to the store at an instant, failed."""
        if self._failing_since is None:
            self._failing_since = began

    def succeeded(self) -> None:
        """Note that a heartbeat succeeded; after a gap, restart the time of all members."""
        if self._failing_since is None:
            return
        began, self._failing_since = self._failing_since, None
        if self._clock.monotonic() - began >= GAP_SECONDS:
            # The heartbeats of others are not delayed meanwhile.  Thread.start() would wait for the new
            # thread, and gevent's hub, which also calls this, must not wait.
            self.renewing = True
            _thread.start_new_thread(self.renew_members, ())

    def renew_members(self) -> None:
        """Renew the leases of all living members, those with the shortest time first."""
        try:
            state = self._store.state()
            with state.read():
                members = [
                    (member.ttl or 0, member.lease)
                    for stack_state in state.all_stacks()
                    for member in stack_state.live_members.values()
                    if member.lease and not member.declared_only
                ]
            LOG.info(
                "heartbeats failed for a while; granting the full ttl again to %s",
                counted(len(members), "member"),
            )
            for _, lease in sorted(members):
                self._store.renew_lease(lease, self._clock.monotonic() + self._timeout)
        except FactstoreError as error:
            LOG.info("the store failed again before all members got their time: %s", error)
        finally:
            self.renewing = False
