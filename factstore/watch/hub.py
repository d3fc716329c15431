"""Recent events in bounded memory, and wake-ups for the readers that wait for new ones.

A stack has two revisions here: that of its last event, and that of its last change.  Every event is a
change, but not every change is an event: the revision that a member has applied is not published.
Beside these there is a revision for each read set: that of the last change that concerned it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.model.stack_selection import Watched
from factstore.watch.channel import Channel, Selected, call_all
from factstore.watch.hub_readers import HubReaders
from factstore.watch.past_events import AwaitedPast, PastEvents


class Hub(HubReaders):
    """An :class:`~factstore.core.ports.EventSource` fed by a pump."""

    def reset(
        self,
        at: Cursor,
        since: int | None = None,
        place: Callable[[], object] = lambda: None,
    ) -> None:
        """Discard the history and restart at a cursor, perhaps of another store.

        :param since: the revision after which the past is read later; None if it is not.
        :param place: puts the state at the cursor in the place of the former one.  A reader that finds
            it has to wait for the events that belong to it.
        """
        past = None
        if since is not None:
            past = AwaitedPast(since, at, self._new_wake_up(), self._may_wait)
        with self._lock:
            place()
            former, self._past = self._past, past
            calls = self._calls_to_all()
            listening = [(of, found.listeners) for of, found in self._known() if found.listeners]
            self._clear(at)
            for of, kept in listening:  # the position of some may still be in the history
                found = self._enter(of)
                found.readers, found.listeners = len(kept), kept
        if former is not None:
            former.end()
        call_all(calls)

    def publish(
        self, revision: int, events: Iterable[Event], touched: Mapping[Scope, Collection[str]]
    ) -> None:
        """Add the events of one revision, and wake the readers of the stacks that it touched.

        :param touched: see :class:`~factstore.core.model.event.StepResult`.
        """
        calls: list[Callable[[], object]] = []
        now = self._now()
        selections: dict[Selected, None] = {}
        with self._lock:
            for scope, read_sets in touched.items():
                channel = self._channels.pop(scope, None)
                if channel is None:
                    channel = Channel(concerned_floor=self._change_floor)
                self._channels[scope] = channel
                channel.last_change = revision
                if channel.change_wake_up is not None:
                    calls += [w.set for w in channel.take_wake_ups(event=False)]
                if read_sets:
                    calls += channel.concern(read_sets, revision, now)
            for event in events:
                channel = self._channels[event.scope]
                self._history.add(channel, event, now)
                if channel.readers:
                    calls += channel.take_calls(event)
                if found := self._selections.add(event.scope, channel):
                    selections.update(dict.fromkeys(found))
            for selected in selections:
                calls += (*[w.set for w in selected.take_all_wake_ups()], *selected.listeners)
            self._revision = revision
            self._history.make_room(self._channels, revision)
            self._forget_idle()
        call_all(calls)

    def new_past(self, since: int) -> PastEvents:
        """Return the events after a revision, without any yet."""
        return PastEvents(self._history.limits, since, self._reset_at)

    def put_past(self, past: PastEvents | None, upto: Cursor) -> None:
        """Put the events up to the cursor of the last reset before the present ones.

        :param past: None if they cannot be read; then the history begins with the present ones.
        """
        with self._lock:
            awaited = self._past
            if awaited is None or awaited.upto != upto:
                return  # the hub was reset meanwhile
            if past is not None:
                self._put_before(past)
            self._past = None
        awaited.end()

    def _put_before(self, past: PastEvents) -> None:
        floors = past.history.floors
        floors.raise_all(self._history.floors)
        older: dict[Scope, Channel] = {}
        for scope, channel in past.channels.items():
            if not channel.count or channel.last_event <= floors.of(scope):
                continue  # later events of the stack were dropped already
            present = self._channels.get(scope)
            if present is None:
                floor = self._change_floor
                present = older[scope] = Channel(last_change=floor, concerned_floor=floor)
            present.put_before(channel)
            self._history.events += channel.count
            self._history.bytes += channel.bytes
        self._channels = {**older, **self._channels}
        self._history.floors = floors
        self._selections.collect(self._channels, floors)
        self._history.make_room(self._channels, self._revision)
        self._forget_idle()

    def close(self) -> None:
        """Wake all readers to stop."""
        with self._lock:
            self._closing = True
            past, calls = self._past, self._calls_to_all()
        if past is not None:
            past.end(stopped=True)
        call_all(calls)

    def _known(self) -> list[tuple[Watched, Channel | Selected]]:
        return [*self._channels.items(), *self._selections.all.items()]

    def _calls_to_all(self) -> list[Callable[[], object]]:
        calls: list[Callable[[], object]] = []
        for _, found in self._known():
            calls += [wake_up.set for wake_up in found.take_all_wake_ups()]
            calls += found.listeners
        return calls
