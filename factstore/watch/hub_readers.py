"""The readers' side of the hub: they read events after a position, and wait for new ones.

Readers pull: each keeps its own position and reads the events after it.  So a slow reader costs
nothing until the history that it needs is dropped; then it gets an error that states so.

A position is a cursor, and the hub has the events of one store.  A reader from another store gets the
same error, so it never receives events of two.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice

from factstore.core.errors import LIST_AGAIN, CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.stack_selection import Watched
from factstore.core.ports import EventBatch, Kept, WakeUp
from factstore.core.short_lock import ShortLock
from factstore.watch.channel import Channel, Listener, Selected
from factstore.watch.history import History, HistoryLimits
from factstore.watch.past_events import AwaitedPast
from factstore.watch.selections import Selections

_UNKNOWN = Channel()
IDLE_CHANNELS = 10_000  # idle channels that are kept; the stacks of others count as changed


class HubReaders:
    """An :class:`~factstore.core.ports.EventSource`, without the side that publishes.

    :param now: returns seconds that never decrease.
    :param may_wait: returns False for a caller that must not wait, in a loop that serves others.
    """

    def __init__(
        self,
        limits: HistoryLimits,
        new_wake_up: Callable[[], WakeUp] | None = None,
        now: Callable[[], float] = time.monotonic,
        may_wait: Callable[[], bool] = lambda: True,
    ) -> None:
        self._selections = Selections()
        self._history = History(limits, now, self._selections.dropped)
        self._now = now
        self._may_wait = may_wait
        self._reset_at = now()
        self._new_wake_up = new_wake_up or threading.Event
        self._lock = ShortLock()
        self._channels: dict[Scope, Channel] = {}  # the one that changed last comes last
        self._change_floor = 0
        self._forget_at = 2 * IDLE_CHANNELS
        self._epoch, self._revision = "", 0
        self._generation = 0
        self._closing = False
        self._past: AwaitedPast | None = None

    @property
    def cursor(self) -> Cursor:
        """See :class:`~factstore.core.ports.EventSource`."""
        with self._lock:
            return Cursor(self._epoch, self._revision)

    def has_published(self, at: Cursor) -> bool:
        """See :class:`~factstore.core.ports.EventSource`."""
        epoch, revision = at
        with self._lock:
            return epoch == self._epoch and revision <= self._revision

    @property
    def closing(self) -> bool:
        """True if readers are to stop."""
        return self._closing

    @property
    def limits(self) -> Kept:
        """The maximum of events in memory, of all stacks."""
        return Kept(self._history.limits.events, self._history.limits.bytes)

    @property
    def depth(self) -> tuple[int, int]:
        """The number of events in memory, and their approximate bytes."""
        return self._history.events, self._history.bytes

    def kept(self, project_id: str | None = None) -> dict[Scope, Kept]:
        """Return what is kept of each stack, of one project or of all."""
        with self._lock:
            return {
                scope: Kept(channel.count, channel.bytes)
                for scope, channel in self._channels.items()
                if channel.count and project_id in (None, scope.project_id)
            }

    def floor(self, scope: Scope, epoch: str) -> int:
        """See :class:`~factstore.core.ports.EventSource`."""
        if (past := self._past) is not None:
            past.wait()
        with self._lock:
            self._check(epoch)
            return self._history.floors.of(scope)

    def keeps(self, scope: Scope, after: Cursor) -> bool:
        """See :class:`~factstore.core.ports.EventSource`."""
        if self._past is not None:
            self._past.wait_for(after)
        epoch, revision = after
        with self._lock:
            return epoch == self._epoch and self._history.floors.of(scope) <= revision

    def _check(self, epoch: str) -> None:
        if epoch != self._epoch:
            raise CursorExpired("The store was replaced", LIST_AGAIN)

    def read(self, of: Watched, after: Cursor, *, events: int, size: int) -> EventBatch:
        """See :class:`~factstore.core.ports.EventSource`."""
        if self._past is not None:
            self._past.wait_for(after)
        epoch, revision = after
        with self._lock:
            self._check(epoch)
            found = self._find(of)
            if revision < (found.floor if isinstance(found, Selected) else self._floor(of)):
                raise CursorExpired(
                    "The history after this cursor is no longer available", LIST_AGAIN
                )
            if found is None or found.last_event <= revision:
                return EventBatch((), max(revision, self._revision), more=False)
            return found.read(revision, self._revision, events=events, size=size)

    def wait(self, of: Watched, after: Cursor, timeout: float) -> bool:
        """See :class:`~factstore.core.ports.EventSource`."""
        epoch, revision = after
        with self._lock:
            if self._closing or epoch != self._epoch:
                return True
            found = self._find(of)
            if revision < self._floor(of) or (found is not None and found.last_event > revision):
                return True
            found = self._enter(of)
            if found.event_wake_up is None:
                found.event_wake_up = self._new_wake_up()
            wake_up, generation = found.event_wake_up, self._generation
        return self._wait(found, wake_up, generation, timeout)

    def listen(self, of: Watched, listener: Listener, read_set: str = "") -> Callable[[], None]:
        """Call a function after each revision with events, in the thread that publishes them.

        It is also called when readers are to stop or the history was reset.

        :param read_set: the digest of a read set, to call it only after changes that concern it.
        :return: a function that ends this.
        """
        with self._lock:
            self._enter(of).listeners[listener] = read_set

        def leave() -> None:
            with self._lock:
                found = self._find(of)  # not the same since a reset
                assert found is not None  # noqa: S101 - it has a reader
                found.readers -= 1
                del found.listeners[listener]
                self._forget_idle()

        return leave

    def wait_concern(self, scope: Scope, read_set: str, after: Cursor, timeout: float) -> bool:
        """Wait as :meth:`wait` does, for a change that concerns a read set."""
        epoch, revision = after
        with self._lock:
            channel = self._channels.get(scope)
            last = channel.last_concern(read_set) if channel is not None else self._change_floor
            if self._closing or epoch != self._epoch or revision < last:
                return True
            channel = self._join(scope)
            wake_up = channel.concerned_wake_ups.get(read_set)
            if wake_up is None:
                wake_up = channel.concerned_wake_ups[read_set] = self._new_wake_up()
            generation = self._generation
        return self._wait(channel, wake_up, generation, timeout)

    def quiet_since(self, scope: Scope, read_set: str = "", *, unless_of: str = "") -> float:
        """See :class:`~factstore.core.ports.EventSource`."""
        with self._lock:
            channel = self._channels.get(scope) or _UNKNOWN
            return max(self._reset_at, channel.quiet_since(read_set, unless_of))

    def grown_at(self, scope: Scope) -> float:
        """See :class:`~factstore.core.ports.EventSource`."""
        return (self._channels.get(scope) or _UNKNOWN).grown_at

    def pause(self, scope: Scope, seconds: float) -> None:
        """Wait for a time; return early if the stack is deleted, or as :meth:`wait` does."""
        with self._lock:
            if self._closing:
                return
            channel = self._join(scope)
            if channel.end_wake_up is None:
                channel.end_wake_up = self._new_wake_up()
            wake_up, generation = channel.end_wake_up, self._generation
        self._wait(channel, wake_up, generation, seconds)

    def wait_change(self, scope: Scope, after: Cursor, timeout: float) -> bool:
        """Wait as :meth:`wait` does, for any change instead of an event."""
        epoch, revision = after
        with self._lock:
            channel = self._channels.get(scope)
            last = channel.last_change if channel is not None else self._change_floor
            if self._closing or epoch != self._epoch or revision < last:
                return True
            channel = self._join(scope)
            if channel.change_wake_up is None:
                channel.change_wake_up = self._new_wake_up()
            wake_up, generation = channel.change_wake_up, self._generation
        return self._wait(channel, wake_up, generation, timeout)

    def _floor(self, of: Watched) -> int:
        floors = self._history.floors
        return floors.of(of) if isinstance(of, Scope) else self._selections.find(of, floors).floor

    def _find(self, of: Watched) -> Channel | Selected | None:
        if isinstance(of, Scope):
            return self._channels.get(of)
        return self._selections.find(of, self._history.floors)

    def _enter(self, of: Watched) -> Channel | Selected:
        if isinstance(of, Scope):
            return self._join(of)
        found = self._selections.find(of, self._history.floors)
        found.readers += 1
        return found

    def _join(self, scope: Scope) -> Channel:
        channel = self._channels.get(scope)
        if channel is None:
            floor = self._change_floor
            channel = self._channels[scope] = Channel(last_change=floor, concerned_floor=floor)
        channel.readers += 1
        return channel

    def _wait(
        self, found: Channel | Selected, wake_up: WakeUp, generation: int, timeout: float
    ) -> bool:
        try:
            wake_up.wait(timeout)
        finally:
            with self._lock:
                if generation == self._generation:
                    found.readers -= 1
                    self._forget_idle()  # callers may wait for any number of stacks that never existed
        return wake_up.is_set()

    def _clear(self, at: Cursor) -> None:
        """Forget all events and readers, and restart at a cursor."""
        self._epoch, revision = at
        self._channels.clear()
        self._selections.clear()
        self._history.clear(revision)
        self._change_floor = self._revision = revision
        self._forget_at = 2 * IDLE_CHANNELS
        self._generation += 1
        self._reset_at = self._now()

    def _forget_idle(self) -> None:
        """Delete idle channels, those that changed longest ago first, many at a time."""
        if len(self._channels) < self._forget_at:
            return
        idle = (scope for scope, channel in self._channels.items() if channel.idle)
        for scope in list(islice(idle, IDLE_CHANNELS)):
            self._change_floor = max(self._change_floor, self._channels.pop(scope).last_change)
        # Channels with events or readers stay. The scan is not repeated before many more are added.
        self._forget_at = len(self._channels) + IDLE_CHANNELS
