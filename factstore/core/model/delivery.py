"""Deliveries of subscriptions, and the notifiers that make them."""

from __future__ import annotations

import json
from typing import Literal

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.subscription import Subscription
from factstore.core.model.value import encode

DELIVERIES_KEPT = 20

DeliveryKind = Literal["events", "challenge", "test", "gap"]


@quick_dataclass(frozen=True, slots=True)
class Delivery:
    """The last attempt to deliver one message.

    :param id: the id of the message, the same for all attempts.
    :param kind: what the message contains.
    :param at: when the attempt was made.
    :param attempts: the number of attempts so far.
    :param events: the number of events in the message.
    :param delivered: True if the target accepted the message.
    :param status: the HTTP status of the answer; None if there was none.
    :param latency_ms: milliseconds until the answer or the error.
    :param error: why the attempt failed, or None.  It never contains the answer's body.
    """

    id: str
    kind: DeliveryKind
    at: str
    attempts: int
    events: int
    delivered: bool
    status: int | None
    latency_ms: int
    error: str | None

    @property
    def text(self) -> str:
        """The delivery as JSON."""
        # Written out, because a notifier makes one for each delivery; only errors need escapes.
        delivered = "true" if self.delivered else "false"
        status = "null" if self.status is None else self.status
        error = "null" if self.error is None else encode(self.error)
        return (
            f'{{"at":"{self.at}","attempts":{self.attempts},"delivered":{delivered},'
            f'"error":{error},"events":{self.events},"id":"{self.id}",'
            f'"kind":"{self.kind}","latency_ms":{self.latency_ms},"status":{status}}}'
        )


@quick_dataclass(frozen=True, slots=True)
class DeliveryState(Record):
    """The progress of a subscription, which only the notifier that owns it writes.

    :param subscription: its id.
    :param replays: the subscription's number of replays for which *cursor* is valid.
    :param tests: the number of requested tests that were made.
    :param cursor: everything up to it was delivered.
    :param delivered: the number of messages that were delivered.
    :param failed: the number of attempts that failed.
    :param attempts: the number of attempts for the present message.
    :param failing_since: the first of the failures in a row; None if the last attempt succeeded.
    :param next_attempt_at: when the present message is sent again, or None.
    :param last_error: of the last failed attempt, or None.
    :param log: the last deliveries, the newest first, at most :data:`DELIVERIES_KEPT`, each as JSON,
        because all workers read the record whenever it is written.
    """

    subscription: str
    replays: int
    tests: int
    cursor: str
    delivered: int
    failed: int
    attempts: int
    failing_since: str | None
    next_attempt_at: str | None
    last_error: str | None
    log: tuple[str, ...]

    @classmethod
    def first(cls, subscription: Subscription) -> DeliveryState:
        """Return the progress of a subscription of which nothing was delivered."""
        return cls(
            subscription.id,
            subscription.replays,
            0,
            subscription.start,
            0,
            0,
            0,
            None,
            None,
            None,
            (),
        )

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """The last deliveries, the newest first."""
        return tuple([Delivery(**json.loads(text)) for text in self.log])

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its project's unnamed stack."""
        return RecordKey(DeliveryState, self.subscription)


@quick_dataclass(frozen=True, slots=True)
class Owner(Record):
    """The notifier that delivers a subscription's events, and no other does.

    A subscription has at most one. It is on the lease of the notifier.
    """

    subscription: str
    notifier: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in the unnamed stack of the subscription's project."""
        return RecordKey(Owner, self.subscription)


@quick_dataclass(frozen=True, slots=True)
class Notifier(Record):
    """A running notifier, on its own lease.

    :param name: an id that is new at each start.
    """

    name: str
    host: str
    started_at: str

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in the unnamed stack of the service."""
        return RecordKey(Notifier, self.name)
