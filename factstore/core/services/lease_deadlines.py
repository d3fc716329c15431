"""Ends leases whose time is over by the clock, although the store still counts.

etcd gives a lease its full time again after each restart and each election.  For heartbeats that is
right, because members could not be heard meanwhile.  But the timeout of a waiter and the life of a
receipt must not begin again.  So every worker counts them too, and revokes leases that are overdue.
A grant has its end in its record, and is not valid after that, however long its lease lasts.
Usually the store comes first, and nothing is overdue.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from factstore.core.errors import FactstoreError
from factstore.core.model.receipt import RETENTION, SHARED_SECONDS
from factstore.core.model.waiter import Waiter
from factstore.core.operations.grants import add_seconds
from factstore.core.ports import Clock, Store
from factstore.core.state.state import State

REPLAY_SECONDS = 10.0  # for which a worker that has loaded a state may replay recent history
MARGIN_SECONDS = 3.0  # beyond the time of a lease, in which the store itself should end it
CLOCK_MARGIN_SECONDS = 30  # beyond times that other workers have stored, because clocks differ
CLOCK_PERIOD = 10.0  # seconds between searches for overdue receipts, and between attempts


class LeaseDeadlines:
    """The deadlines of the waiters and receipts in a store.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(self, store: Store, clock: Clock, timeout: float) -> None:
        self._store = store
        self._clock = clock
        self._timeout = timeout
        self._state: State | None = None
        self._replayed_at = 0.0
        self._timers: dict[int, float] = {}
        self._search_at = 0.0

    def restart(self, waiter: Waiter) -> None:
        """Count the timeout of a waiter from now on, because it made progress."""
        self._timers[waiter.timer] = self._clock.monotonic() + waiter.timeout + MARGIN_SECONDS

    def revoke_overdue(self) -> None:
        """Revoke the leases that are overdue; the store then deletes the keys, as at their expiry.

        :raises Unavailable: the store cannot be read.
        """
        state = self._store.state()
        if state is not self._state:
            self._state, self._replayed_at = state, self._clock.monotonic() + REPLAY_SECONDS
        now = self._clock.monotonic()
        searches = now >= self._search_at
        if self._overdue(state, searches):
            end = now + self._timeout
            # The state may lack a newer arming or progress, for example while the watch is broken.
            for lease in self._overdue(self._store.refresh(end), searches):
                with suppress(FactstoreError):  # it is tried again in the next round
                    self._store.revoke_lease(lease, end)
                    if lease in self._timers:  # the watch has not reported it yet
                        self._timers[lease] = now + CLOCK_PERIOD
        if searches:
            self._search_at = now + CLOCK_PERIOD

    def _overdue(self, state: State, searches: bool) -> list[int]:
        now = self._clock.monotonic()
        timers: dict[int, float] = {}
        outdated: list[int] = []
        with state.read():
            for stack_state in state.all_stacks():
                for waiter in stack_state.pending_waiters.waiters():
                    due = self._timers.get(waiter.timer)
                    if due is None:
                        age = self._age(waiter) if now < self._replayed_at else 0.0
                        due = now + waiter.timeout - age + MARGIN_SECONDS
                    timers[waiter.timer] = due
            if searches:
                life = RETENTION + SHARED_SECONDS + CLOCK_MARGIN_SECONDS
                oldest = add_seconds(self._clock.timestamp(), -life)
                for stack_state in state.all_stacks():
                    outdated += stack_state.receipt_leases.used_before(oldest)
        self._timers = timers
        return [lease for lease, due in timers.items() if due <= now] + outdated

    def _age(self, waiter: Waiter) -> float:
        """Return the seconds since a waiter was armed, or 0 if they are not known.

        Workers' clocks differ, so timestamps of others count only for waiters that may have been armed
        before this worker has read the store.  It has not seen the progress of these.
        """
        if waiter.extends:
            return 0.0
        now = datetime.fromisoformat(self._clock.timestamp())
        return max(0.0, (now - datetime.fromisoformat(waiter.armed_at)).total_seconds())
