"""A stream's position in the events of one stack or many, and the frames that are due at it."""

from __future__ import annotations

from collections.abc import Iterator

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event, by_revision
from factstore.core.model.stack_selection import Watched
from factstore.core.ports import Clock, EventBatch, EventSource
from factstore.core.services.debounce import Debounce, Debouncer, UndeliveredEvents
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import (
    BookmarkFrame,
    ChangeFrame,
    Frame,
    GoodbyeFrame,
    PingFrame,
)

STREAM_EVENTS = 64  # read at once
BOOKMARK_SECONDS = 30.0
PING_SECONDS = 15.0


class Follower:
    """Reads events after a cursor, and decides which frames are due.  It never waits.

    :ivar ended: True after the last frame.
    :ivar expired: True if it ended because the history after its cursor is no longer available.
    :ivar due_at: the instant at which a frame is due even if nothing happens.
    """

    __slots__ = (
        "_clock",
        "_debouncer",
        "_delivered",
        "_epoch",
        "_events",
        "_last_bookmark_at",
        "_last_frame_at",
        "_of",
        "_page",
        "_wanted",
        "due_at",
        "ended",
        "expired",
    )

    def __init__(
        self,
        events: EventSource,
        clock: Clock,
        of: Watched,
        start: Cursor,
        wanted: Filter,
        settle: Debounce,
    ) -> None:
        self._events = events
        self._clock = clock
        self._of = of
        self._epoch, self._delivered = start
        self._wanted = wanted
        self._page, self._debouncer = UndeliveredEvents(start.revision), Debouncer(settle)
        self._last_frame_at = self._last_bookmark_at = self.due_at = clock.monotonic()
        self.ended = self.expired = False

    @property
    def cursor(self) -> Cursor:
        """The position up to which events were read."""
        return Cursor(self._epoch, self._page.at)

    @property
    def revision(self) -> int:
        """The revision of the position."""
        return self._page.at

    @property
    def holds(self) -> bool:
        """True if there are events that were read, and are not due yet."""
        return bool(self._page.events)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames that are due, also those that become due while the reader takes them."""
        while not self._events.closing:
            page = self._page
            try:
                batch = self._read()
            except CursorExpired:
                for events in by_revision(page.events):  # the events held back are complete
                    yield self._change(events)
                self.ended = self.expired = True
                yield GoodbyeFrame("this worker has no further history; resume with the last id")
                return
            now = self._clock.monotonic()
            if page.take(batch, self._wanted):
                self._debouncer.touch(now)
            due = self._debouncer.deadline
            if due is not None and (page.complete or due <= now):
                for events in by_revision(page.events):
                    self._delivered = events[0].revision
                    yield self._change(events)
                    if any(map(self._wanted.ends, events)):
                        self.ended = True
                        yield GoodbyeFrame("the stack was deleted")
                        return
                self._page = UndeliveredEvents(page.at, more=page.more)
                self._debouncer.reset()
                self._last_frame_at = self._last_bookmark_at = self._clock.monotonic()
                continue  # there may be new events: a slow client takes its time between frames
            if page.more:
                continue
            bookmark_is_due = now - self._last_bookmark_at >= BOOKMARK_SECONDS - PING_SECONDS
            if bookmark_is_due and page.at > self._delivered and not page.events:
                self._delivered, self._last_bookmark_at = page.at, now
                yield BookmarkFrame(Cursor(self._epoch, page.at))
                continue
            if now - self._last_frame_at >= PING_SECONDS:
                self._last_frame_at = now
                yield PingFrame()
                continue
            ping_at = self._last_frame_at + PING_SECONDS
            self.due_at = ping_at if due is None else min(due, ping_at)
            return
        self.ended = True
        yield GoodbyeFrame("the service is stopping; resume with the last id")

    def wait(self) -> None:
        """Wait until a frame may be due."""
        timeout = max(0.0, self.due_at - self._clock.monotonic())
        self._events.wait(self._of, self.cursor, timeout)

    def _change(self, events: tuple[Event, ...]) -> ChangeFrame:
        return ChangeFrame(events, Cursor(self._epoch, events[0].revision))

    def _read(self) -> EventBatch:
        """Return the next events.

        :raises CursorExpired: the history was compacted, or the store was replaced.
        """
        events, size = self._page.room
        return self._events.read(
            self._of, self.cursor, events=min(events, STREAM_EVENTS), size=size
        )
