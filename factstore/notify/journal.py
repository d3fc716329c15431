"""The stored progress of one subscription: written seldom, and only by the notifier that owns it."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from factstore.core.errors import FactstoreError
from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import DeliveryState, Owner
from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.subscription import Subscription, SubscriptionState
from factstore.core.operations.deliveries import RecordDelivery, ReleaseSubscription
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock
from factstore.notify.progress import Attempt, Success, after_attempt, after_successes

LOG = logging.getLogger(__name__)

SAVE_SECONDS = 1.0
"""The shortest time between two writes for a subscription."""
SAVES_PER_SECOND = 25
"""The writes of a notifier for all its subscriptions; each costs etcd and all workers some time."""
SUCCESSES_KEPT = 256
"""The number of successes that are added to the progress together, at most."""
IDLE_SAVE_SECONDS = 120.0
"""The time after which an idle subscription's cursor is written, before its history is compacted."""


@quick_dataclass(slots=True)
class SavePace:
    """The time between two writes for a subscription, which all subscriptions of a notifier share."""

    seconds: float = SAVE_SECONDS

    def divide(self, subscriptions: int) -> None:
        """Set the time for a number of subscriptions."""
        self.seconds = max(SAVE_SECONDS, subscriptions / SAVES_PER_SECOND)


class Journal:
    """The progress in memory, and the one that was written last.

    Messages that were delivered at the first attempt are added to the progress when it is needed, which
    is seldom if many are delivered.

    :ivar lost: True if the notifier does not own the subscription any more.
    """

    def __init__(
        self,
        transactor: Transactor,
        clock: Clock,
        pace: SavePace,
        scope: Scope,
        owner: Owner,
        stored: DeliveryState,
    ) -> None:
        self._pace = pace
        self._transactor = transactor
        self._clock = clock
        self._scope = scope
        self._owner = owner
        self._progress = self._saved = stored
        self._successes: list[Success] = []
        # A notifier that takes over many subscriptions must not write for all of them at once.
        self._saved_at = clock.monotonic()
        self.lost = False

    @property
    def progress(self) -> DeliveryState:
        """The present progress."""
        if self._successes:
            self._progress = after_successes(self._progress, self._successes)
            self._successes = []
        return self._progress

    @progress.setter
    def progress(self, progress: DeliveryState) -> None:
        self._progress, self._successes = progress, []

    # The successes that are not added yet do not change these.

    @property
    def replays(self) -> int:
        """See :class:`DeliveryState`."""
        return self._progress.replays

    @property
    def tests(self) -> int:
        """See :class:`DeliveryState`."""
        return self._progress.tests

    @property
    def attempts(self) -> int:
        """See :class:`DeliveryState`."""
        return self._progress.attempts

    def record(self, attempt: Attempt) -> None:
        """Record an attempt that belongs to the order of the events, or a challenge."""
        known = self._progress
        failed = known.attempts or known.failing_since or known.next_attempt_at
        if failed or attempt.outcome.error is not None:
            self.progress = after_attempt(self.progress, attempt)
            return
        self._successes.append(Success.of(attempt))
        if len(self._successes) >= SUCCESSES_KEPT:
            self.progress = self.progress

    def replay(self, subscription: Subscription) -> None:
        """Continue where the last replay of a subscription begins."""
        start = subscription.start
        self.progress = replace(
            self.progress, replays=subscription.replays, cursor=start, attempts=0
        )

    def move(self, position: Cursor) -> None:
        """Record that there is nothing more to deliver before a cursor."""
        if self._successes:
            self._successes[-1] = self._successes[-1]._replace(cursor=position)
        elif self._progress.cursor != (cursor := str(position)):
            self._progress = replace(self._progress, cursor=cursor)

    @property
    def is_saved(self) -> bool:
        """True if the progress has been written."""
        return not self._successes and self._progress == self._saved

    def due_in(self) -> float:
        """Return the seconds until the progress is to be written."""
        if self._successes:
            interval = self._pace.seconds
        elif self._progress is self._saved or self._progress == self._saved:
            return math.inf
        else:
            moved_only = _apart_from_cursor(self._progress) == _apart_from_cursor(self._saved)
            interval = IDLE_SAVE_SECONDS if moved_only else self._pace.seconds
        return self._saved_at + interval - self._clock.monotonic()

    def save_if_due(self, subscription: Subscription) -> None:
        """Write the progress unless that was done just before."""
        if self.due_in() <= 0:
            self.save(subscription)

    def save(
        self,
        subscription: Subscription,
        state: SubscriptionState | None = None,
        reason: str | None = None,
    ) -> None:
        """Write the progress, and a new state of the subscription unless it has been changed."""
        progress = self.progress
        write = RecordDelivery(
            self._scope, self._owner, progress, state, reason, subscription.revision
        )
        self._saved_at = self._clock.monotonic()
        try:
            owned = self._transactor.run(write).outcome
        except FactstoreError as error:
            LOG.info("the progress of %s is not written yet: %s", subscription.id, error)
            return
        if owned:
            self._saved = progress
        else:
            self.lost = True

    def release(self, subscription: Subscription) -> None:
        """Write the progress, and let another notifier own the subscription."""
        if self.lost:
            return
        if not self.is_saved:
            self.save(subscription)
        try:
            self._transactor.run(ReleaseSubscription(self._scope, self._owner))
        except FactstoreError as error:
            LOG.info("subscription %s is not released yet: %s", subscription.id, error)


def _apart_from_cursor(state: DeliveryState) -> tuple[object, ...]:
    """Return the fields that an idle subscription does not change."""
    return state.log, state.replays, state.tests, state.delivered, state.failed, state.attempts
