"""The watch of one stack or many: long polls and streams.

It has the guarantees of etcd's watch: events are delivered in order, once, without a gap, and in whole
revisions.  A watch can be resumed from any cursor until that history is compacted, which is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from factstore.core.errors import LIST_AGAIN, CursorExpired, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.model.path import check_stack_name, quoted
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.stack_selection import Watched
from factstore.core.ports import EventBatch
from factstore.core.services.debounce import (
    AT_ONCE,
    PAGE_BYTES,
    Debounce,
    Debouncer,
    UndeliveredEvents,
)
from factstore.core.services.event_service import EventReadService
from factstore.core.services.follower import Follower
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import (
    BookmarkFrame,
    Frame,
    GoodbyeFrame,
    ResetFrame,
)
from factstore.core.services.watch_snapshot import snapshot
from factstore.core.state.state import State

SNAPSHOT_FOLLOWS = "discard everything received before, and use the snapshot that follows"
"""The remedy in a stream for an expired cursor."""

HandOver = Callable[[Cursor], bool]
"""Called when a stream has delivered everything before a cursor.

It returns True if the stream continues elsewhere.
"""


def _nowhere(cursor: Cursor) -> bool:
    return False


@quick_dataclass(frozen=True, slots=True)
class Poll:
    """The result of a long poll.

    :param next: the cursor of the next poll.
    :param more: True if further events are available.
    """

    events: tuple[Event, ...]
    next: Cursor
    more: bool


class WatchService(EventReadService):
    """The service for watching.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def poll(
        self,
        of: Watched,
        since: Cursor | None,
        wait: float,
        wanted: Filter,
        settle: Debounce = AT_ONCE,
    ) -> Poll:
        """Return the events after a cursor; wait for the first, and return none after *wait* seconds.

        :param since: None for the current revision.
        :param settle: wait further until the stack is quiet; a full page is returned at once.
        :raises CursorExpired: the history was compacted or never existed in this store.
        :raises NotFound: there is no such stack.
        """
        end = self._clock.monotonic() + wait
        epoch, at = self._start(of, since, wanted)
        page, debouncer = UndeliveredEvents(at), Debouncer(settle, end)
        while True:
            try:
                batch = self._read(of, Cursor(epoch, page.at), *page.room)
            except CursorExpired:
                if not page.events:
                    raise
                break  # the events that were read are complete; the next poll reports the gap
            if page.take(batch, wanted):
                debouncer.touch(self._clock.monotonic())
            due = debouncer.deadline
            left = (end if due is None else due) - self._clock.monotonic()
            if page.complete or left <= 0 or self._events.closing:
                break
            if not page.more:
                self._events.wait(of, Cursor(epoch, page.at), left)
        return Poll(tuple(page.events), Cursor(epoch, page.at), page.more)

    def stream(
        self,
        of: Watched,
        since: Cursor | None,
        initial: bool,
        wanted: Filter,
        reset: bool,
        settle: Debounce = AT_ONCE,
        hand_over: HandOver = _nowhere,
    ) -> Iterator[Frame]:
        """Yield frames until the stack is deleted, the service stops, or history is missing.

        :param since: None for the current revision; with *initial*, a snapshot is yielded first.
        :param settle: hold changes back until the stack is quiet, then deliver them one after another.
        :param reset: if the cursor has expired, yield a reset and a snapshot instead of an error.
        :raises CursorExpired: at once; the history was compacted, and *reset* is False.
        :raises NotFound: at once; there is no such stack.
        """
        expired: str | None = None
        at = Cursor("", 0)
        try:
            at = self._start(of, since, wanted)
            self._read(of, at, 1, PAGE_BYTES)
        except CursorExpired as error:
            if not reset:
                raise
            expired = f"{error.cause}; {SNAPSHOT_FOLLOWS}."
        if expired is not None or (since is None and initial):
            return self._restarted(of, wanted, expired, settle, hand_over)
        return self.follow(of, at, wanted, settle, hand_over)

    def follow(
        self,
        of: Watched,
        start: Cursor,
        wanted: Filter,
        settle: Debounce = AT_ONCE,
        hand_over: HandOver = _nowhere,
    ) -> Iterator[Frame]:
        """Yield frames as :meth:`stream` does, from a cursor that this worker has reached."""
        follower = self.follower(of, start, wanted, settle)
        while True:
            yield from follower.frames()
            if follower.ended or (not follower.holds and hand_over(follower.cursor)):
                return
            follower.wait()

    def follower(self, of: Watched, start: Cursor, wanted: Filter, settle: Debounce) -> Follower:
        """Return a follower from a cursor that this worker has reached."""
        return Follower(self._events, self._clock, of, start, wanted, settle)

    def newest(self, scope: Scope, since: Cursor | None, head: int) -> Cursor | None:
        """Return the position after a cursor behind which there are no events, without waiting.

        :param since: None for the current revision.
        :param head: the store's newest revision.
        :return: None if there are events, or if this worker has not reached the revision.
        """
        state = self._store.state()
        if state.revision < head or state.stack(scope) is None:
            return None
        if since is None:  # no later revision has been published
            return state.cursor
        if not state.includes(since):
            return None
        batch = self._read(scope, since, 1, PAGE_BYTES)
        return None if batch.events else Cursor(since.epoch, batch.upto)

    def _start(self, of: Watched, since: Cursor | None, wanted: Filter) -> Cursor:
        """Return the cursor to read from; wait until this worker has reached *since*."""
        if isinstance(of, Scope):
            check_stack_name(of.stack)
        wanted.check()
        deadline = self._clock.monotonic() + self._timeout
        return self.position(of, since, self._store.refresh(deadline))

    def position(self, of: Watched, since: Cursor | None, state: State) -> Cursor:
        """Return the cursor to read from in a state.

        :param since: None for the state's revision.
        :raises CursorExpired: the cursor is not one of this store.
        :raises NotFound: there is no such stack.
        """
        if isinstance(of, Scope) and state.stack(of) is None:
            raise NotFound(f"There is no stack named {quoted(of.stack)}.")
        if since is None:
            return state.cursor
        if not state.includes(since):
            raise CursorExpired(
                "The cursor is from another epoch of the store, or newer than the store", LIST_AGAIN
            )
        return since

    def take_next(self, of: Watched, epoch: str, page: UndeliveredEvents, wanted: Filter) -> None:
        """Add the next events to a page, without waiting.

        :raises CursorExpired: the history after the page was compacted.
        """
        page.take(self._read(of, Cursor(epoch, page.at), *page.room), wanted)

    def _read(self, of: Watched, at: Cursor, events: int, size: int) -> EventBatch:
        return self._events.read(of, at, events=events, size=size)

    def _restarted(
        self,
        of: Watched,
        wanted: Filter,
        expired: str | None,
        settle: Debounce,
        hand_over: HandOver,
    ) -> Iterator[Frame]:
        if expired is not None:
            yield ResetFrame(expired)
        found = snapshot(self._store.state(), of, wanted)
        if found is None:
            yield GoodbyeFrame("the stack was deleted")
            return
        yield from found.frames()
        start_at = Cursor(found.epoch, found.revision)
        yield BookmarkFrame(start_at)
        yield from self.follow(of, start_at, wanted, settle, hand_over)
