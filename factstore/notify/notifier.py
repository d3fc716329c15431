"""One notifier: it owns its share of all subscriptions, and delivers each.

The notifiers agree without talking to each other: all compute from the same records which of them is to
own a subscription.  Who owns it in fact is decided by a record in the store, so that there is one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from factstore.core.errors import FactstoreError
from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import Notifier as NotifierRecord
from factstore.core.model.delivery import Owner
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import RecordKey
from factstore.core.model.subscription import Subscription
from factstore.core.model.unnamed import SERVICE, unnamed_scope
from factstore.core.operations.deliveries import RegisterNotifier
from factstore.notify.concurrency import Signal
from factstore.notify.delivery import Delivery
from factstore.notify.parts import Parts
from factstore.notify.rendezvous import chosen

LOG = logging.getLogger(__name__)

ROUND_SECONDS = 1.0  # between rounds while nothing changes
GATHER_SECONDS = 0.02  # changes arrive in bursts
FAILED_SECONDS = 5.0  # before a subscription whose delivery failed is owned again
DRAIN_SECONDS = 3.0  # for requests that run when the notifier stops
POLL_SECONDS = 0.02


@quick_dataclass(frozen=True, slots=True)
class NotifierStatus:
    """Numbers of a notifier."""

    owned: int
    suspended: int
    lag: float


class Notifier:
    """Keeps one delivery for each subscription that this process is to own."""

    def __init__(self, parts: Parts, host: str, wake: Signal) -> None:
        """Create a notifier.

        :param wake: is set when a delivery has ended, or the lease was lost.
        """
        self._parts = parts
        self._host = host
        self._wake = wake
        self._deliveries: dict[str, Delivery] = {}
        self._not_before: dict[str, float] = {}
        self._shares: dict[str, str | None] = {}
        self._names: frozenset[str] = frozenset()
        # The lease, and the cursor at which the record on it was written.
        self._registered, self._registered_at = 0, Cursor("", 0)
        self._seen = Cursor("", 0)
        self._stopping = False
        self._stopped = parts.concurrency.new_signal()

    def status(self) -> NotifierStatus:
        """Return the present numbers."""
        deliveries = [each for each in self._deliveries.values() if not each.ended]
        suspended = sum(each.suspended for each in deliveries)
        lag = max((each.lag() for each in deliveries), default=0.0)
        return NotifierStatus(len(deliveries), suspended, lag)

    def start(self) -> None:
        """Start to own subscriptions."""
        self._parts.concurrency.spawn(self._watch)
        self._parts.concurrency.spawn(self._run)

    def stop(self) -> None:
        """Hand all subscriptions over, and return when that is done."""
        self._stopping = True
        self._wake.set()
        self._stopped.wait(2 * DRAIN_SECONDS)

    def _watch(self) -> None:
        """Wake the rounds when a subscription, an owner or a notifier has changed."""
        while not self._stopping:
            events = self._parts.events
            if events.wait_change(SERVICE, self._seen, ROUND_SECONDS):
                self._seen = events.cursor
                self._wake.set()
                self._stopped.wait(GATHER_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._round()
            except FactstoreError as error:
                LOG.info("subscriptions cannot be owned yet: %s", error)
            except Exception:
                LOG.exception("subscriptions cannot be owned yet")
            self._wake.wait(ROUND_SECONDS)
            self._wake.clear()
        self._end()

    def _round(self) -> None:
        """Start and stop deliveries, so that this notifier owns its share."""
        parts = self._parts
        if self._was_removed():
            LOG.warning("etcd has revoked the lease too early; other notifiers may deliver")
            parts.lease.abandon()
            self.lost()
        # What is delivered from another store was decided on its records, whose revisions differ.
        same = self._registered_at.epoch == parts.store.state().epoch
        if parts.lease.id != self._registered or not self._registered or not same:
            self._register()
        if parts.lease.allowed_until() <= parts.clock.monotonic():
            return
        state, now = parts.store.state(), parts.clock.monotonic()
        subscriptions = {each.id: (project, each) for project, each in self._known()}
        self._forget_ended(now)
        parts.pace.divide(len(self._deliveries))
        for identifier in set(self._deliveries) - set(subscriptions):
            self._deliveries[identifier].stop(at_once=True)
        shares = self._divide(subscriptions)
        for identifier, (project_id, subscription) in subscriptions.items():
            mine, deleting = shares[identifier] == parts.name, subscription.state == "deleting"
            delivery = self._deliveries.get(identifier)
            if delivery is not None:
                delivery.update(subscription)
                if deleting or not mine:
                    delivery.stop(at_once=deleting)
            elif now >= self._not_before.get(identifier, now):
                owner = state.record(unnamed_scope(project_id), RecordKey(Owner, identifier))
                # A claim with an unknown outcome may have been written; if the subscription is not
                # this notifier's any more, the next round gives it back.
                claimed = isinstance(owner, Owner) and owner.lease == parts.lease.id
                if claimed or (owner is None and mine and not deleting):
                    delivery = Delivery(parts, project_id, subscription)
                    self._deliveries[identifier] = delivery
                    delivery.start()

    def _was_removed(self) -> bool:
        """Return True if the record of this notifier was deleted, although its lease is renewed.

        A store that was restored from a backup may have the lease without the record.
        """
        state, written = self._parts.store.state(), self._registered_at
        lags = state.epoch == written.epoch and state.revision < written.revision
        if not self._registered or lags:
            return False
        return state.record(SERVICE, RecordKey(NotifierRecord, self._parts.name)) is None

    def _known(self) -> list[tuple[str, Subscription]]:
        return self._parts.store.state().unnamed_records(Subscription)

    def _register(self) -> None:
        """Get a new lease, and write the notifier's record on it.

        The deliveries under an earlier lease have ended with it.
        """
        parts = self._parts
        for delivery in self._deliveries.values():
            delivery.stop(at_once=True)
        if any(not delivery.ended for delivery in self._deliveries.values()):
            return
        parts.lease.create()
        record = NotifierRecord(
            name=parts.name, host=self._host, started_at=parts.clock.timestamp()
        )
        done = parts.transactor.run(RegisterNotifier(record, parts.lease.id))
        self._registered, self._registered_at = parts.lease.id, done.cursor
        LOG.info("notifier %s is registered", parts.name)

    def lost(self) -> None:
        """End all deliveries, because the lease has expired."""
        self._registered = 0
        for delivery in list(self._deliveries.values()):
            delivery.stop(at_once=True)
        self._wake.set()

    def _forget_ended(self, now: float) -> None:
        for identifier, delivery in list(self._deliveries.items()):
            if delivery.ended:
                del self._deliveries[identifier]
                if delivery.failed:
                    self._not_before[identifier] = now + FAILED_SECONDS
        self._not_before = {each: at for each, at in self._not_before.items() if at > now}

    def _divide(self, subscriptions: Mapping[str, object]) -> Mapping[str, str | None]:
        """Return the notifier that is to own each subscription."""
        records = self._parts.store.state().records(SERVICE, NotifierRecord)
        names = frozenset(each.name for each in records)
        if names != self._names:
            self._names, self._shares = names, {}
        self._shares = {
            each: self._shares[each] if each in self._shares else chosen(names, each)
            for each in subscriptions
        }
        return self._shares

    def _end(self) -> None:
        """Let running requests end, store the progress and give the subscriptions back."""
        clock = self._parts.clock
        for seconds, at_once in ((DRAIN_SECONDS, False), (DRAIN_SECONDS / 2, True)):
            until = clock.monotonic() + seconds
            for delivery in self._deliveries.values():
                delivery.stop(at_once=at_once)
            while clock.monotonic() < until and self.status().owned:
                self._stopped.wait(POLL_SECONDS)
        try:
            self._parts.lease.end()
        except FactstoreError as error:
            LOG.info("the lease is not revoked: %s", error)
        self._stopped.set()
