"""Subscriptions: registered listeners to which the events of a project's stacks are delivered."""

from __future__ import annotations

from dataclasses import field
from typing import Literal, get_args

from factstore.core.model.cursor import Cursor
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey

SubscriptionState = Literal["pending", "active", "paused", "suspended", "disabled", "deleting"]
SUBSCRIPTION_STATES: tuple[SubscriptionState, ...] = get_args(SubscriptionState)

SUBSCRIPTION_ID_PATTERN = r"[0-9a-f]{32}"
SECRET_PREFIX = "whsec_"  # noqa: S105 - as Standard Webhooks writes secrets; base64 follows

NAME_LENGTH = 128
MAX_EVENTS = 256
"""The most events in one message."""
MAX_DELAY = 60
"""The most seconds that an event waits for others, so that one message contains them."""
FILTERS = 32
"""The most values of each filter."""
ROTATION_MAX = 7 * 24 * 3600
ROTATION_DEFAULT = 24 * 3600
"""Seconds for which messages are also signed with the former secret."""


@quick_dataclass(frozen=True, slots=True)
class Subscription(Record):
    """A registered listener, as its owners defined it, and its state.

    Its progress is in a :class:`~factstore.core.model.delivery.DeliveryState`, which the notifier that
    owns the subscription writes.

    :param target: the URI to which messages are sent.
    :param stacks: patterns of the names of the stacks.
    :param types: only these change types; empty for all.
    :param prefixes: only facts at or below one of these paths; empty for all.
    :param groups: only members of these groups; empty for all.
    :param alarms: only alarms with these names; empty for all.
    :param max_events: the most events in one message.
    :param max_delay: seconds for which an event may wait for others.
    :param reason: why it is suspended or disabled, or None.
    :param secrets: with which messages are signed, the newest first; see
        :mod:`~factstore.core.operations.subscription_secrets`.
    :param wrapped_key: the data key with which they are sealed, wrapped; empty if they are not.
    :param former_until: when the second secret ends; None if there is only one.
    :param rotated_at: when the newest secret replaced another; None for the first secret.
    :param challenge: what a pending target has to send back; stored like a secret.
    :param start: the cursor after which delivery starts, or starts again after a replay.
    :param replays: how often *start* was set again; if a delivery state has another number, delivery
        continues from *start*.
    :param tests: how often a test message was requested.
    """

    id: str
    name: str
    target: str
    stacks: tuple[str, ...]
    types: tuple[str, ...]
    prefixes: tuple[str, ...]
    groups: tuple[str, ...]
    max_events: int
    max_delay: int
    state: SubscriptionState
    reason: str | None
    secrets: tuple[str, ...] = field(repr=False)
    wrapped_key: str
    former_until: str | None
    rotated_at: str | None
    challenge: str = field(repr=False)
    start: str
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    request_id: str
    replays: int
    tests: int
    alarms: tuple[str, ...] = ()

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its project's unnamed stack."""
        return RecordKey(Subscription, self.id)

    def etag(self, epoch: str) -> str:
        """Return the entity tag, without its quotes."""
        return str(Cursor(epoch, self.revision))
