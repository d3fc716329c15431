"""One stack in the hub, or a selection of stacks: recent events, and the wake-ups of waiting readers.

The hub holds its lock whenever it uses a channel.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import field
from heapq import merge

from factstore.core.model.event import Event, by_revision
from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.stack_selection import StackSelection
from factstore.core.ports import EventBatch, WakeUp

LOG = logging.getLogger(__name__)

Listener = Callable[[], None]

OWN_EVENTS = 100  # of a member, that are distinguished from those of others
READ_SETS = 2_000  # read sets whose last change is kept; the others count as concerned

_DROPPED = Event(Scope("", ""), "", 0, ())


@quick_dataclass(slots=True)
class Channel:
    """The events of one stack that are still in memory, and the wake-ups of the waiting readers.

    :param last_time: the time at which the last event was added.
    :param concerned: the revision of the last change that concerned a read set, and its time, by the
        digest of the read set.
    :param concerned_floor: the revision after which *concerned* is complete.
    :param listeners: with the digest of the read set that has to be concerned; empty for all events.

    :param selected: the selections that include the stack, while it has events in memory.
    :param times: at which each event was added.
    :param bytes: the size of the events that are in memory.
    :param grown_at: the time of the last event that made the stack larger.
    :param last_dropped_time: the time at which the newest event was added that is not in memory.

    Dropped events at the front are counted, and removed from the lists many at a time.
    """

    last_event: int = 0
    last_time: float = -math.inf
    last_change: int = 0
    event_wake_up: WakeUp | None = None
    change_wake_up: WakeUp | None = None
    end_wake_up: WakeUp | None = None
    concerned: dict[str, tuple[int, float]] = field(default_factory=dict)
    concerned_floor: int = 0
    concerned_wake_ups: dict[str, WakeUp] = field(default_factory=dict)
    readers: int = 0
    listeners: dict[Listener, str] = field(default_factory=dict)
    selected: tuple[Selected, ...] = ()
    events: list[Event] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    bytes: int = 0
    dropped: int = 0
    last_dropped_time: float = -math.inf
    grown_at: float = -math.inf

    @property
    def idle(self) -> bool:
        return not self.readers and not self.count

    @property
    def awaited(self) -> bool:
        """True if readers wait for the events, who may not have read the newest one yet."""
        return self.readers > 0 or any(selected.readers for selected in self.selected)

    @property
    def count(self) -> int:
        """The number of events in memory."""
        return len(self.events) - self.dropped

    @property
    def first_time(self) -> float:
        """The time at which the oldest event was added."""
        return self.times[self.dropped]

    def after(self, revision: int) -> int:
        return bisect_right(self.events, revision, self.dropped, key=lambda event: event.revision)

    def read(self, after: int, upto: int, *, events: int, size: int) -> EventBatch:
        """Return the next events after a revision.

        :param upto: the newest revision.
        """
        start = self.after(after)
        found = self.events[start : start + events]
        taken, total = 0, 0
        for event in found:
            total += event.size
            if taken and total > size:
                break
            taken += 1
        more = start + taken < len(self.events)
        read_to = found[taken - 1].revision if more else max(after, upto)
        return EventBatch(tuple(found[:taken]), read_to, more)

    def add(self, event: Event, time: float) -> None:
        self.events.append(event)
        self.times.append(time)
        self.bytes += event.size
        self.last_event, self.last_time = event.revision, time
        if event.grows:
            self.grown_at = time

    def put_before(self, older: Channel) -> None:
        """Put the events of another channel before the own ones, none of which was dropped."""
        self.events[: self.dropped] = older.events[older.dropped :]
        self.times[: self.dropped] = older.times[older.dropped :]
        self.dropped = 0
        self.bytes += older.bytes
        self.last_event = max(self.last_event, older.last_event)
        self.last_time = max(self.last_time, older.last_time)

    def drop_first(self) -> Event:
        """Drop the oldest event, and return it."""
        event, self.last_dropped_time = self.events[self.dropped], self.times[self.dropped]
        self.events[self.dropped] = _DROPPED
        self.bytes -= event.size
        self.dropped += 1
        if self.dropped > 64 and self.dropped * 2 > len(self.events):
            del self.events[: self.dropped], self.times[: self.dropped]
            self.dropped = 0
        return event

    def concern(
        self, read_sets: Collection[str], revision: int, time: float
    ) -> Iterator[Callable[[], object]]:
        """Record a change that concerned read sets, and yield the functions to call."""
        for digest in read_sets:
            self.concerned[digest] = revision, time
            wake_up = self.concerned_wake_ups.pop(digest, None)
            if wake_up is not None:
                yield wake_up.set
        yield from self.listeners_of(read_sets)
        if len(self.concerned) > READ_SETS:
            self.concerned.clear()
            self.concerned_floor = revision

    def listeners_of(self, read_sets: Collection[str]) -> list[Listener]:
        """Return the listeners with one of these digests."""
        return [listener for listener, own in self.listeners.items() if own in read_sets]

    def take_calls(self, event: Event) -> list[Callable[[], object]]:
        """Return the functions to call for an event: those of its readers and of all listeners."""
        wake_ups = self.take_wake_ups(event=True, end=event.ends_stack)
        return [*(wake_up.set for wake_up in wake_ups), *self.listeners_of(("",))]

    def last_concern(self, read_set: str) -> int:
        """Return the revision of the last change that can have concerned a read set."""
        return self.concerned.get(read_set, (self.concerned_floor,))[0]

    def quiet_since(self, read_set: str, unless_of: str) -> float:
        """Return the time of the last event or, with a read set, of the last that concerned it.

        :param unless_of: a member whose own events do not count, as far as they are in memory.
        """
        if read_set:
            return self.concerned.get(read_set, (0, -math.inf))[1]
        if not unless_of:
            return self.last_time
        oldest = max(self.dropped, len(self.events) - OWN_EVENTS)
        for at in range(len(self.events) - 1, oldest - 1, -1):
            if not self.events[at].is_of(unless_of):
                return self.times[at]
        return self.last_dropped_time if oldest == self.dropped else self.times[oldest]

    def take_wake_ups(self, *, event: bool, end: bool = False) -> list[WakeUp]:
        """Remove and return the wake-ups to set: that for changes, and the requested ones.

        :param event: that for events.
        :param end: that for the deletion of the stack.
        """
        wake_ups = [self.change_wake_up] if self.change_wake_up is not None else []
        self.change_wake_up = None
        if event and self.event_wake_up is not None:
            wake_ups.append(self.event_wake_up)
            self.event_wake_up = None
        if end and self.end_wake_up is not None:
            wake_ups.append(self.end_wake_up)
            self.end_wake_up = None
        return wake_ups

    def take_all_wake_ups(self) -> list[WakeUp]:
        """Remove and return all wake-ups."""
        wake_ups = [*self.take_wake_ups(event=True, end=True), *self.concerned_wake_ups.values()]
        self.concerned_wake_ups.clear()
        return wake_ups


@quick_dataclass(slots=True, eq=False)
class Selected:
    """The stacks of a selection that have events in memory, and the wake-ups of its readers.

    :param floor: the revision after which the history of all its stacks is complete.
    :param channels: those with events; the one with the newest event comes last.
    :param last_event: the revision of the newest event that was added.
    """

    selection: StackSelection
    floor: int
    channels: dict[Scope, Channel] = field(default_factory=dict)
    last_event: int = 0
    event_wake_up: WakeUp | None = None
    readers: int = 0
    listeners: dict[Listener, str] = field(default_factory=dict)

    def add(self, scope: Scope, channel: Channel) -> None:
        """Add a stack, or move it to the end because of its newest event."""
        self.channels.pop(scope, None)
        self.channels[scope] = channel
        self.last_event = channel.last_event

    def read(self, after: int, upto: int, *, events: int, size: int) -> EventBatch:
        """Return the next events after a revision.  A revision is returned as a whole.

        :param upto: the newest revision.
        :param events: the maximum number of events, unless one revision has more.
        :param size: the approximate maximum of bytes, unless one revision has more.
        """
        parts: list[list[Event]] = []
        for channel in reversed(self.channels.values()):
            if channel.last_event <= after:
                break
            start = channel.after(after)
            parts.append(
                channel.events[start : start + events + 2]
            )  # a later revision shows *more*
        if len(parts) == 1 and len(parts[0]) == 1:  # the usual case of a reader that follows
            return EventBatch((parts[0][0],), max(after, upto), more=False)
        taken: list[Event] = []
        total = 0
        for found in by_revision(merge(*parts, key=_revision)):
            total += sum(event.size for event in found)
            if taken and (total > size or len(taken) + len(found) > events):
                return EventBatch(tuple(taken), taken[-1].revision, more=True)
            taken += sorted(found, key=_scope)  # in the same order on every worker
        return EventBatch(tuple(taken), max(after, upto), more=False)

    def take_all_wake_ups(self) -> list[WakeUp]:
        """Remove and return the wake-up to set, if any."""
        wake_up, self.event_wake_up = self.event_wake_up, None
        return [] if wake_up is None else [wake_up]


def _revision(event: Event) -> int:
    return event.revision


def _scope(event: Event) -> Scope:
    return event.scope


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Call functions; a fault in one of them must not keep the others from being called."""
    for call in calls:
        try:
            call()
        except Exception:
            LOG.exception("a reader was not notified of a change")
