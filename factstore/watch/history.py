"""The bound on the events in memory, and the share of each project and stack.

If the events need too much memory, those that are not recent are dropped first.  Then the project
that has most of them loses the oldest ones of its largest stack, until another project has as many.
So each of N projects keeps at least 1/N of the memory, each stack of a project as much of the
project's share, and an event of any size costs only its own stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush, heapreplace

from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.watch.channel import Channel
from factstore.watch.floors import Floors

_FREED = 32  # a part of the memory is freed at once, because finding the largest stacks takes time


@quick_dataclass(frozen=True, slots=True)
class HistoryLimits:
    """Bounds of the events in memory.

    :param events: the maximum number of events, of all stacks.
    :param bytes: the approximate maximum of memory for them.
    :param seconds: the time for which an event is recent.
    """

    events: int
    bytes: int
    seconds: float


_Stack = tuple[int, int, Scope, Channel]
"""A stack in a heap: its size, negative, and a number that makes the order complete."""


class History:
    """Adds events to channels, and drops others.

    :param now: returns seconds that never decrease.
    :param on_drop: called with the stack and the revision of each event that was dropped.
    :ivar floors: of the stacks of which events were dropped.
    :ivar events: the number of events in all channels.
    :ivar bytes: their approximate bytes.
    """

    def __init__(
        self,
        limits: HistoryLimits,
        now: Callable[[], float],
        on_drop: Callable[[Scope, Channel, int], None],
    ) -> None:
        self.limits = limits
        self._now = now
        self._on_drop = on_drop
        self._base = max(1, limits.bytes // limits.events)
        self.clear(0)

    def clear(self, revision: int) -> None:
        """Forget all events, whose channels are discarded, and restart at a revision."""
        self.floors = Floors(revision)
        self.events = 0
        self.bytes = 0

    def add(self, channel: Channel, event: Event, time: float) -> None:
        """Add an event to the channel of its stack at a time, which is that of *now*."""
        channel.add(event, time)
        self.events += 1
        self.bytes += event.size

    def make_room(self, channels: Mapping[Scope, Channel], revision: int) -> None:
        """Drop events if there are too many.

        :param revision: the newest one, which watchers have not read yet.
        """
        limits = self.limits
        if self.events <= limits.events and self.bytes <= limits.bytes:
            return
        self._drop_old(channels)
        self._drop_largest(channels, revision)

    def _too_many(self, unread: int = 0) -> bool:
        """Return True if more events have to be dropped, which frees some memory for the next ones.

        :param unread: bytes of events that are not to be dropped.
        """
        events, size = self.limits.events, self.limits.bytes
        read = self.bytes - unread
        return self.events > events - events // _FREED or read > size - size // _FREED

    def _drop_old(self, channels: Mapping[Scope, Channel]) -> None:
        """Drop events that are not recent, first those of the stacks that changed longest ago."""
        before = self._now() - self.limits.seconds
        for scope, channel in channels.items():
            while channel.count and channel.first_time < before:
                if not self._too_many():
                    return
                self._drop(scope, channel)

    def _drop_largest(self, channels: Mapping[Scope, Channel], revision: int) -> None:
        """Drop the oldest events of the largest stacks of the largest projects."""
        if not self._too_many():
            return
        unread = 0
        stacks: dict[str, list[_Stack]] = {}
        for number, (scope, channel) in enumerate(channels.items()):
            if channel.count:
                entry = (-self._weight(channel), number, scope, channel)
                stacks.setdefault(scope.project_id, []).append(entry)
        projects = [(sum(entry[0] for entry in found), name) for name, found in stacks.items()]
        heapify(projects)
        for found in stacks.values():
            heapify(found)
        while projects and self._too_many(unread):
            weight, name = heappop(projects)
            following = projects[0][0] if projects else 0
            largest = stacks[name]
            while largest and weight <= following and self._too_many(unread):
                before, number, scope, channel = largest[0]
                if channel.awaited and channel.count == 1 and channel.last_event == revision:
                    # Watchers that wait have not read it yet. It stays until the next revision.
                    unread += channel.bytes
                    weight -= before
                    heappop(largest)
                    continue
                self._drop(scope, channel)
                after = -self._weight(channel)
                weight += after - before
                if channel.count:
                    heapreplace(largest, (after, number, scope, channel))
                else:
                    heappop(largest)
            if largest:
                heappush(projects, (weight, name))

    def _weight(self, channel: Channel) -> int:
        return channel.bytes + channel.count * self._base

    def _drop(self, scope: Scope, channel: Channel) -> None:
        event = channel.drop_first()
        self.events -= 1
        self.bytes -= event.size
        self.floors.raise_to(scope, event.revision)
        self._on_drop(scope, channel, event.revision)
