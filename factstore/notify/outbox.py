"""The present message of a subscription, kept until it is delivered, and the events after it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.subscription import Subscription
from factstore.notify import messages
from factstore.notify.event_reader import EventReader
from factstore.notify.messages import Message
from factstore.notify.parts import Parts

LOG = logging.getLogger(__name__)


class Outbox:
    """Reads the events of one subscription, and makes messages of them.

    :param start: the cursor after which the events are read.
    :param on_event: called when there may be more to read.
    :ivar message: the present message; None if the next one has not been made.
    """

    def __init__(
        self,
        parts: Parts,
        project_id: str,
        subscription: Subscription,
        start: Cursor,
        on_event: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._project_id = project_id
        self._on_event = on_event
        self.message: Message | None = None
        self._since: float | None = None
        self._reader = self._new_reader(subscription, start)

    def _new_reader(self, subscription: Subscription, start: Cursor) -> EventReader:
        parts = self._parts
        return EventReader(
            parts.events,
            parts.listen,
            self._on_event,
            self._project_id,
            subscription,
            start,
        )

    def serves(self, subscription: Subscription) -> bool:
        """Return True if a definition of the subscription has the same filter."""
        return self._reader.serves(subscription)

    def restart(self, subscription: Subscription, start: Cursor) -> None:
        """Forget the message, and continue from a cursor."""
        self.delivered()
        self._reader.close()
        self._reader = self._new_reader(subscription, start)

    def delivered(self) -> None:
        """Make the next message."""
        self.message = self._since = None

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    @property
    def idle_at(self) -> Cursor | None:
        """The cursor before which all was delivered; None while something waits."""
        waits = self.message is not None or self._reader.waiting
        return None if waits else self._reader.position

    def lag(self) -> float:
        """Return the seconds for which the oldest event that was read has not been delivered."""
        since = self._since
        return self._parts.clock.monotonic() - since if since is not None else 0.0

    def fill(self, subscription: Subscription) -> float | None:
        """Make the next message, or return the seconds to wait because too little has happened."""
        reader, now = self._reader, self._parts.clock.monotonic()
        try:
            reader.fill(subscription.max_events)
        except CursorExpired:
            if not reader.waiting:
                self.message = self._gap(subscription)
                self._since = now
                return None
        if not reader.waiting:
            return math.inf
        if self._since is None:
            self._since = now
        due = self._since + subscription.max_delay
        if len(reader.waiting) < subscription.max_events and now < due:
            return due - now
        events = [
            messages.change(subscription.id, each.events, each.cursor, self._parts.render)
            for each in reader.take(subscription.max_events)
        ]
        self.message = Message(tuple(events), batch=subscription.max_events > 1)
        return None

    def _gap(self, subscription: Subscription) -> Message:
        """Return the message which reports that events were lost."""
        present = self._parts.store.state().cursor
        LOG.warning("subscription %s: events before %s were lost", subscription.id, present)
        event = messages.gap(subscription.id, present)
        return Message((event,), batch=subscription.max_events > 1)
