"""Recent events in bounded memory, and wake-ups for the readers that wait for new ones.

Readers pull: each keeps its own position and asks for what follows.  So a slow reader costs nothing
until the history that it needs is dropped, and then it is refused with that reason.

A stack has two revisions here: that of its last event, and that of its last change.  Every event is a
change, but not every change is an event: the revision that a member has applied, for instance, moves
convergence and no watcher hears of it.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice

from factstore.core.errors import CursorExpired
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.ports import EventBatch, WakeUp

FLOORS = 10_000  # scopes whose lost history is noted one by one
IDLE_CHANNELS = 10_000  # idle channels that are kept; forgotten scopes count as changed

_DROPPED = Event(Scope("", ""), "", 0, ())


@dataclass(slots=True)
class _Channel:
    """One scope: its events that are still held, and the readers that wait.

    Events that were dropped from the front are counted, and removed from the list now and then.
    """

    last_event: int = 0
    last_change: int = 0
    event_signal: WakeUp | None = None
    change_signal: WakeUp | None = None
    readers: int = 0
    events: list[Event] = field(default_factory=list)
    dropped: int = 0

    @property
    def idle(self) -> bool:
        return not self.readers and self.dropped >= len(self.events)

    def after(self, revision: int) -> int:
        return bisect_right(self.events, revision, self.dropped, key=lambda event: event.revision)

    def drop_first(self) -> None:
        self.events[self.dropped] = _DROPPED
        self.dropped += 1
        if self.dropped > 64 and self.dropped * 2 > len(self.events):
            del self.events[: self.dropped]
            self.dropped = 0

    def take_signals(self, *, event: bool) -> list[WakeUp]:
        """Return the signals to set, each once: those for changes, and with *event* all."""
        signals = [self.change_signal] if self.change_signal is not None else []
        self.change_signal = None
        if event and self.event_signal is not None:
            signals.append(self.event_signal)
            self.event_signal = None
        return signals


class Hub:
    """An :class:`~factstore.core.ports.EventSource` fed by a pump.

    :param max_events: how many events are held at most, over all scopes.
    :param max_bytes: about how much memory they may take.
    """

    def __init__(
        self, max_events: int, max_bytes: int, new_signal: Callable[[], WakeUp] = threading.Event
    ) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._new_signal = new_signal
        self._lock = threading.Lock()
        self._channels: dict[Scope, _Channel] = {}  # the one that changed last comes last
        self._held: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._floor = 0
        self._floors: dict[Scope, int] = {}
        self._change_floor = 0
        self._revision = 0
        self._life = 0
        self._closing = False

    @property
    def revision(self) -> int:
        """Everything up to here has been published."""
        return self._revision

    @property
    def closing(self) -> bool:
        """Whether readers should leave."""
        return self._closing

    @property
    def depth(self) -> tuple[int, int]:
        """How many events are held, and about how many bytes they take."""
        return len(self._held), self._bytes

    # Fed by the pump

    def reset(self, revision: int) -> None:
        """Start again after a gap: no history before *revision* is known."""
        with self._lock:
            signals = self._take_all_signals()
            self._channels.clear()
            self._held.clear()
            self._floors.clear()
            self._bytes = 0
            self._floor = self._change_floor = self._revision = revision
            self._life += 1
        for signal in signals:
            signal.set()

    def publish(self, revision: int, events: Iterable[Event], touched: Collection[Scope]) -> None:
        """Take in one revision, and wake the readers of the scopes that it touched.

        :param touched: the scopes in which anything changed, those of the events included.
        """
        signals: list[WakeUp] = []
        with self._lock:
            for scope in touched:
                channel = self._channels.pop(scope, None) or _Channel()
                self._channels[scope] = channel
                channel.last_change = revision
                signals += channel.take_signals(event=False)
            for event in events:
                channel = self._channels[event.scope]
                channel.events.append(event)
                channel.last_event = event.revision
                signals += channel.take_signals(event=True)
                size = event.size
                self._held.append((event, size))
                self._bytes += size
            self._revision = revision
            while len(self._held) > self._max_events or self._bytes > self._max_bytes:
                self._drop_oldest()
            self._forget_idle()
        for signal in signals:
            signal.set()

    def _forget_idle(self) -> None:
        """Forget idle channels, those that changed longest ago first, many at a time."""
        if len(self._channels) < 2 * IDLE_CHANNELS:
            return
        idle = (scope for scope, channel in self._channels.items() if channel.idle)
        for scope in list(islice(idle, IDLE_CHANNELS)):
            self._change_floor = max(self._change_floor, self._channels.pop(scope).last_change)

    def _drop_oldest(self) -> None:
        event, size = self._held.popleft()
        self._bytes -= size
        self._raise_floor(event)
        self._channels[event.scope].drop_first()

    def _raise_floor(self, dropped: Event) -> None:
        """Note what a scope lost; only its own readers ever hear of it."""
        self._floors.pop(dropped.scope, None)
        self._floors[dropped.scope] = dropped.revision
        if len(self._floors) > FLOORS:
            oldest = next(iter(self._floors))
            self._floor = max(self._floor, self._floors.pop(oldest))

    def _floor_of(self, scope: Scope) -> int:
        return max(self._floor, self._floors.get(scope, 0))

    def close(self) -> None:
        """Ask all readers to leave."""
        with self._lock:
            self._closing = True
            signals = self._take_all_signals()
        for signal in signals:
            signal.set()

    def _take_all_signals(self) -> list[WakeUp]:
        channels = self._channels.values()
        return [signal for channel in channels for signal in channel.take_signals(event=True)]

    # Used by readers

    def read(self, scope: Scope, after: int, *, events: int, size: int) -> EventBatch:
        """The scope's next events after a revision, at most so many and about so many bytes.

        :raises CursorExpired: the history after that revision is no longer held.
        """
        with self._lock:
            if after < self._floor_of(scope):
                raise CursorExpired(
                    "the history after this cursor is no longer held; list, then watch from there."
                )
            channel = self._channels.get(scope)
            if channel is None or channel.last_event <= after:
                return EventBatch((), max(after, self._revision), more=False)
            start = channel.after(after)
            found = channel.events[start : start + events]
            taken, total = 0, 0
            for event in found:
                total += event.size
                if taken and total > size:
                    break
                taken += 1
            more = start + taken < len(channel.events)
            upto = found[taken - 1].revision if more else max(after, self._revision)
            return EventBatch(tuple(found[:taken]), upto, more)

    def wait(self, scope: Scope, after: int, timeout: float) -> bool:
        """Wait until the scope has an event after a revision; return False after *timeout* seconds.

        Return True early when readers should leave or the history was reset.
        """
        with self._lock:
            channel = self._channels.get(scope)
            news = channel is not None and channel.last_event > after
            if self._closing or after < self._floor_of(scope) or news:
                return True
            channel = self._join(scope)
            if channel.event_signal is None:
                channel.event_signal = self._new_signal()
            signal, life = channel.event_signal, self._life
        return self._wait(channel, signal, life, timeout)

    def wait_change(self, scope: Scope, after: int, timeout: float) -> bool:
        """Wait as :meth:`wait` does, for any change instead of an event."""
        with self._lock:
            channel = self._channels.get(scope)
            last = channel.last_change if channel is not None else self._change_floor
            if self._closing or after < last:
                return True
            channel = self._join(scope)
            if channel.change_signal is None:
                channel.change_signal = self._new_signal()
            signal, life = channel.change_signal, self._life
        return self._wait(channel, signal, life, timeout)

    def _join(self, scope: Scope) -> _Channel:
        channel = self._channels.get(scope)
        if channel is None:
            channel = self._channels[scope] = _Channel(last_change=self._change_floor)
        channel.readers += 1
        return channel

    def _wait(self, channel: _Channel, signal: WakeUp, life: int, timeout: float) -> bool:
        try:
            signal.wait(timeout)
        finally:
            with self._lock:
                if life == self._life:
                    channel.readers -= 1
                    self._forget_idle()  # anybody may wait for stacks that never existed
        return signal.is_set()
