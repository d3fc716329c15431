"""Reads the events that a subscription wants, in order, in whole revisions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event, by_revision
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection
from factstore.core.model.subscription import Subscription
from factstore.core.ports import EventSource
from factstore.core.services.watch_filter import Filter

EVENTS_AT_ONCE = 64
BYTES_AT_ONCE = 1024 * 1024


@quick_dataclass(frozen=True, slots=True)
class Revision:
    """The wanted events of one revision."""

    events: Sequence[Event]
    cursor: Cursor

    @property
    def size(self) -> int:
        """The approximate size in bytes."""
        return sum(event.size for event in self.events)


Listen = Callable[[StackSelection, Callable[[], None]], Callable[[], None]]
"""Calls a function after each event of a selection, until the function that it returns is called."""


class EventReader:
    """Reads from a cursor.

    :param on_event: called when there may be more to read.
    :ivar waiting: the revisions that were read and not taken.
    """

    def __init__(
        self,
        events: EventSource,
        listen: Listen,
        on_event: Callable[[], None],
        project_id: str,
        subscription: Subscription,
        start: Cursor,
    ) -> None:
        self._events = events
        self._served = _served(subscription)
        self._selection = StackSelection(project_id, StackPatterns.of(subscription.stacks))
        self._wanted = Filter(
            prefixes=subscription.prefixes,
            types=frozenset(subscription.types),
            groups=subscription.groups,
            alarms=subscription.alarms,
            many=True,
        )
        self._at = start
        self.waiting: deque[Revision] = deque()
        self.close = listen(self._selection, on_event)

    def serves(self, subscription: Subscription) -> bool:
        """Return True if a definition of the subscription has the same filter."""
        return _served(subscription) == self._served

    @property
    def position(self) -> Cursor:
        """The cursor before which everything has been taken or is not wanted."""
        return self._at

    def fill(self, count: int) -> None:
        """Read until a number of revisions wait, or until all have been read.

        :raises CursorExpired: the history after the position is no longer available.
        """
        while len(self.waiting) < count:
            batch = self._events.read(
                self._selection, self._at, events=EVENTS_AT_ONCE, size=BYTES_AT_ONCE
            )
            wanted = [kept for event in batch.events if (kept := self._wanted.apply(event))]
            if len(wanted) == 1:  # the usual case
                self.waiting.append(Revision(wanted, Cursor(self._at.epoch, wanted[0].revision)))
                wanted = []
            for events in by_revision(wanted):
                self.waiting.append(Revision(events, Cursor(self._at.epoch, events[0].revision)))
            self._at = Cursor(self._at.epoch, batch.upto)
            if not batch.more:
                return
            time.sleep(0)  # a long history must not delay other greenlets

    def take(self, count: int) -> list[Revision]:
        """Return the next revisions, at most *count* and not many bytes, but at least one."""
        taken = [self.waiting.popleft()]
        size = taken[0].size
        while len(taken) < count and self.waiting:
            size += self.waiting[0].size
            if size > BYTES_AT_ONCE:
                break
            taken.append(self.waiting.popleft())
        return taken


def _served(subscription: Subscription) -> tuple[object, ...]:
    filters = subscription.types, subscription.prefixes, subscription.groups, subscription.alarms
    return subscription.stacks, filters
