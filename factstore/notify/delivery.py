"""The delivery of one subscription by the notifier that owns it.

Messages are sent one after another.  The next is sent when the target has accepted the one before, so
the order is kept; the cursor is stored afterwards, so none is lost.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from factstore.core.errors import FactstoreError, Invalid
from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import DeliveryKind, DeliveryState, Owner
from factstore.core.model.record import RecordKey
from factstore.core.model.subscription import Subscription, SubscriptionState
from factstore.core.model.target import Target
from factstore.core.model.unnamed import unnamed_scope
from factstore.core.operations.deliveries import ClaimSubscription
from factstore.notify import messages
from factstore.notify.attempts import send_once
from factstore.notify.deadline import SendingEnded
from factstore.notify.journal import Journal
from factstore.notify.messages import Message
from factstore.notify.outbox import Outbox
from factstore.notify.parts import Parts
from factstore.notify.progress import (
    LONGEST_PAUSE,
    Attempt,
    after_fault,
    after_test,
    has_failed_for,
    in_state,
    later,
    pause_after,
)
from factstore.notify.targets import sender
from factstore.notify.targets.base import Outcome, TargetSender

LOG = logging.getLogger(__name__)

LEASE_RETRY_SECONDS = 0.5


class Delivery:
    """Owns a subscription and delivers its events until it is stopped."""

    def __init__(self, parts: Parts, project_id: str, subscription: Subscription) -> None:
        self._parts = parts
        self._project_id = project_id
        self._scope = unnamed_scope(project_id)
        self._subscription = subscription
        self._retry_at = -math.inf
        self._wake = parts.concurrency.new_signal()
        self._listening = self._stopping = self._cancelled = self._owns = False
        self._journal: Journal
        self._outbox: Outbox
        self._sender: TargetSender
        self.ended = self.failed = False

    def start(self) -> None:
        """Start to deliver."""
        self._parts.concurrency.spawn(self._run)

    def update(self, subscription: Subscription) -> None:
        """Continue with a changed definition or state."""
        if subscription.revision > self._subscription.revision:
            self._subscription = subscription
            self._retry_at = -math.inf  # it may have been resumed
            self._wake.set()

    def stop(self, *, at_once: bool) -> None:
        """Stop.

        :param at_once: end a request that is running; it may have been delivered all the same.
        """
        self._stopping = True
        self._cancelled = self._cancelled or at_once
        self._wake.set()

    @property
    def suspended(self) -> bool:
        """True if the subscription is suspended."""
        return self._subscription.state == "suspended"

    def lag(self) -> float:
        """Return the seconds for which the oldest event that was read has not been delivered."""
        return self._outbox.lag() if self._owns else 0.0

    def _run(self) -> None:
        subscription, parts = self._subscription, self._parts
        try:
            claim = ClaimSubscription(self._scope, subscription.id, parts.name, parts.lease.id)
            done = parts.transactor.run(claim)
            if done.outcome is not None:
                self._own(done.written_record(done.outcome))
        except FactstoreError as error:
            LOG.warning("subscription %s is not delivered: %s", subscription.id, error)
            self.failed = True
        except Exception:
            LOG.exception("the delivery of subscription %s failed", subscription.id)
            self.failed = True
        finally:
            self.ended = True
            parts.changed()

    def _own(self, owner: Owner) -> None:
        parts, key = self._parts, RecordKey(DeliveryState, owner.subscription)
        stored = parts.store.state().record(self._scope, key)
        if not isinstance(stored, DeliveryState):
            stored = DeliveryState.first(self._subscription)
        self._journal = Journal(
            parts.transactor, parts.clock, parts.pace, self._scope, owner, stored
        )
        try:
            while not self._stopping and not self._journal.lost:
                try:
                    if self._owns or self._open_if_due():
                        self._step(self._subscription)
                except SendingEnded:
                    # The lease may be renewed in a moment; if it is lost, the notifier stops this.
                    self._wait(LEASE_RETRY_SECONDS)
                except Exception as error:  # it concerns this subscription only
                    if isinstance(error, FactstoreError) and not isinstance(error, Invalid):
                        raise
                    LOG.exception("the delivery of subscription %s failed", owner.subscription)
                    at = parts.clock.timestamp()
                    self._journal.progress = after_fault(self._journal.progress, at, error)
                    self._fail(self._subscription, Outcome())
                    if self._owns:
                        self._read_again()  # the events that were taken from the reader are not lost
        finally:
            if self._owns:
                self._outbox.close()
                self._sender.close()
            if parts.lease.allowed_until() > parts.clock.monotonic():
                self._journal.release(self._subscription)

    def _open_if_due(self) -> bool:
        """Begin to read events; wait and return False if that failed just before.

        A record that cannot be used, such as one of a later version, stays owned: it can be deleted.
        """
        left = self._retry_at - self._parts.clock.monotonic()
        if left > 0:
            self._wait(left)
            return False
        subscription, parts = self._subscription, self._parts
        target = Target.parse(subscription.target, allow_http=True)
        self._sender = sender(target, self._project_id, parts.surroundings)
        start = Cursor.parse(self._journal.progress.cursor)
        self._outbox = Outbox(parts, self._project_id, subscription, start, self._on_event)
        self._owns = True
        return True

    def _on_event(self) -> None:
        if self._listening:
            self._wake.set()

    def _step(self, subscription: Subscription) -> None:
        """Do what is due next, or wait."""
        self._follow_changes(subscription)
        left = self._retry_at - self._parts.clock.monotonic()
        if subscription.state == "pending":
            if left > 0:
                self._wait(left)
            else:
                self._challenge(subscription)
        elif subscription.tests != self._journal.tests:
            self._test(subscription)
        elif subscription.state != "active":
            self._wait(math.inf)
        elif left > 0:
            self._wait(left)
        else:
            self._next_message(subscription)
            if self._outbox.message is not None:
                self._deliver(subscription, self._outbox.message)

    def _follow_changes(self, subscription: Subscription) -> None:
        """Continue elsewhere after a replay, and read again with another filter."""
        journal = self._journal
        if subscription.replays != journal.replays:
            journal.replay(subscription)
            self._read_again()
        elif not self._outbox.serves(subscription):
            self._read_again()
        if journal.attempts:
            journal.progress = in_state(journal.progress, subscription.state)

    def _read_again(self) -> None:
        self._outbox.restart(self._subscription, Cursor.parse(self._journal.progress.cursor))

    def _challenge(self, subscription: Subscription) -> None:
        """Ask the target whether it wants the events."""
        token = self._parts.challenge(self._project_id, subscription)
        message = Message((messages.challenge(subscription.id, token),))
        attempt = self._attempt(message, "challenge")
        outcome = attempt.outcome
        if outcome.error is None and not messages.is_confirmed(outcome.body, token):
            refused = Outcome(outcome.status, "the target did not return the challenge")
            attempt = replace(attempt, outcome=refused)
        self._journal.record(attempt)
        if attempt.outcome.error is None:
            self._set_state("active", None)
        else:
            self._fail(subscription, attempt.outcome)

    def _test(self, subscription: Subscription) -> None:
        """Send a test message, once."""
        message = Message((messages.test(subscription.id, subscription.tests),))
        attempt = self._attempt(message, "test")
        self._journal.progress = after_test(self._journal.progress, attempt, subscription.tests)
        self._journal.save(subscription)

    def _deliver(self, subscription: Subscription, message: Message) -> None:
        """Send a message of the sequence."""
        self._listening = False
        gap = message.events[-1].type == messages.GAP
        attempt = self._attempt(message, "gap" if gap else "events")
        outcome = attempt.outcome
        self._journal.record(attempt)
        if outcome.error is None:
            self._parts.observer.delivered_events(len(message.events))
            self._outbox.delivered()
            if gap:
                self._read_again()
            self._journal.save_if_due(self._subscription)
        elif outcome.gone:
            self._end("disabled", "The target answered with status 410: it wants no more messages.")
        elif has_failed_for(self._journal.progress, attempt.at, self._parts.suspend_after):
            since = self._journal.progress.failing_since
            reason = f"Every delivery failed since {since}: {outcome.error}."
            self._end("suspended", reason)
        else:
            self._fail(subscription, outcome)

    def _next_message(self, subscription: Subscription) -> None:
        """Make the next message, or wait if nothing has happened."""
        if self._outbox.message is not None:
            return
        self._listening = True
        self._wake.clear()  # before reading, so that no event is missed
        if self._stopping or self._subscription is not subscription:
            return
        pause = self._outbox.fill(subscription)
        if pause is None:
            return
        idle_at = self._outbox.idle_at
        if idle_at is not None:
            self._journal.move(idle_at)
        self._wait(pause, listening=True)

    def _attempt(self, message: Message, kind: DeliveryKind) -> Attempt:
        """Send a message once. Raises SendingEnded."""
        request = self._project_id, self._subscription, message, kind
        return send_once(self._parts, self._sender, self._allowed_until, *request)

    def _allowed_until(self) -> float:
        return -math.inf if self._cancelled else self._parts.lease.allowed_until()

    def _fail(self, subscription: Subscription, outcome: Outcome) -> None:
        """Wait longer after each failure, at least as long as the target wants."""
        wanted = min(outcome.retry_after or 0.0, LONGEST_PAUSE)
        pause = max(pause_after(self._journal.progress.attempts), wanted)
        if self._subscription is not subscription:  # it may have been resumed meanwhile
            pause = 0.0
        clock = self._parts.clock
        self._retry_at = clock.monotonic() + pause
        self._journal.progress = replace(
            self._journal.progress, next_attempt_at=later(clock.timestamp(), pause)
        )
        self._journal.save_if_due(self._subscription)

    def _end(self, state: SubscriptionState, reason: str) -> None:
        """Deliver no more until somebody resumes the subscription."""
        LOG.warning("subscription %s is %s: %s", self._subscription.id, state, reason)
        self._parts.observer.ended(state)
        self._set_state(state, reason)

    def _set_state(self, state: SubscriptionState, reason: str | None) -> None:
        """Write the state and the progress; if somebody changed the subscription, that decides."""
        self._journal.save(self._subscription, state, reason)
        key = RecordKey(Subscription, self._subscription.id)
        found = self._parts.store.state().record(self._scope, key)
        if isinstance(found, Subscription):
            self.update(found)

    def _wait(self, seconds: float, *, listening: bool = False) -> None:
        """Wait until something changes, or until the progress has to be written."""
        self._listening = listening
        left = min(seconds, self._journal.due_in())
        if left > 0 and not self._stopping:
            self._wake.wait(None if left == math.inf else left)
        if not listening:
            self._wake.clear()
        self._journal.save_if_due(self._subscription)
