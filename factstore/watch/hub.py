"""Recent events in bounded memory, and word of new ones.

Readers pull: each keeps its own position and asks for what follows.  So a slow reader costs nothing
until the history it needs is dropped, and then it is told so.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from factstore.core.errors import CursorExpired
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.ports import EventBatch, WakeUp
from factstore.watch.stirs import Stirs

FLOORS = 10_000  # scopes whose loss is noted one by one

_DROPPED = Event(Scope("", ""), "", 0, ())


@dataclass(slots=True)
class _Channel:
    """One scope: its events still held, those dropped from the front being counted out."""

    signal: WakeUp | None = None
    last: int = 0
    readers: int = 0
    events: list[Event] = field(default_factory=list)
    dropped: int = 0

    def after(self, revision: int) -> int:
        return bisect_right(self.events, revision, self.dropped, key=lambda event: event.revision)

    def drop_first(self) -> None:
        self.events[self.dropped] = _DROPPED
        self.dropped += 1
        if self.dropped > 64 and self.dropped * 2 > len(self.events):
            del self.events[: self.dropped]
            self.dropped = 0


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
        self._stirs = Stirs(new_signal)
        self._channels: dict[Scope, _Channel] = {}
        self._held: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._floor = 0
        self._floors: dict[Scope, int] = {}
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
        """Begin anew after a gap: no history before *revision* is known."""
        with self._lock:
            signals = self._signals()
            self._channels.clear()
            self._held.clear()
            self._floors.clear()
            self._bytes = 0
            self._floor = self._revision = revision
            self._life += 1
        for signal in signals:
            signal.set()
        self._stirs.reset(revision)

    def publish(self, revision: int, events: Iterable[Event]) -> None:
        """Take in all events of one revision, and wake the readers of their scopes.

        An event without changes is a stir: it is told to those only who wait for that.
        """
        signals = []
        stirred = []
        with self._lock:
            for event in events:
                stirred.append(event.scope)
                if not event.changes:
                    continue
                channel = self._channels.setdefault(event.scope, _Channel())
                channel.events.append(event)
                channel.last = event.revision
                if channel.signal is not None:
                    signals.append(channel.signal)
                    channel.signal = None
                size = event.size
                self._held.append((event, size))
                self._bytes += size
            self._revision = revision
            while len(self._held) > self._max_events or self._bytes > self._max_bytes:
                self._drop_oldest()
        for signal in signals:
            signal.set()
        if stirred:
            self._stirs.tell(revision, stirred)

    def _drop_oldest(self) -> None:
        event, size = self._held.popleft()
        self._bytes -= size
        self._raise_floor(event)
        channel = self._channels[event.scope]
        channel.drop_first()
        if channel.dropped >= len(channel.events) and not channel.readers:
            del self._channels[event.scope]

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
            signals = self._signals()
        for signal in signals:
            signal.set()
        self._stirs.close()

    def _signals(self) -> list[WakeUp]:
        signals = [c.signal for c in self._channels.values() if c.signal is not None]
        for channel in self._channels.values():
            channel.signal = None
        return signals

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
            if channel is None or channel.last <= after:
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
        """Wait until the scope has an event after a revision; False after *timeout* seconds.

        Returns True early when readers should leave or the history was renewed.
        """
        with self._lock:
            channel = self._channels.get(scope)
            if self._closing or after < self._floor_of(scope) or (channel and channel.last > after):
                return True
            if channel is None:
                channel = self._channels[scope] = _Channel()
            if channel.signal is None:
                channel.signal = self._new_signal()
            signal, life = channel.signal, self._life
            channel.readers += 1
        try:
            signal.wait(timeout)
        finally:
            with self._lock:
                if life == self._life:
                    channel.readers -= 1
                    if not channel.readers and channel.dropped >= len(channel.events):
                        self._channels.pop(scope, None)
        return signal.is_set()

    def wait_stir(self, scope: Scope, after: int, timeout: float) -> bool:
        """As :meth:`wait`, but also for what moves without an event."""
        return self._stirs.wait(scope, after, timeout)
