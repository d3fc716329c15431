"""The watch: long polls and streams.

It has the guarantees of etcd's watch: events are delivered in order, once, without a gap, and in whole
revisions.  A watch can be resumed from any cursor until that history is compacted, which is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from factstore.core.errors import CursorExpired, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.member import Member
from factstore.core.model.path import check_stack_name, quoted
from factstore.core.model.waiter import Progress, Waiter
from factstore.core.ports import Clock, EventBatch, EventSource, Store
from factstore.core.services.debounce import AT_ONCE, PAGE_BYTES, Debounce, Debouncer, Page
from factstore.core.services.follower import Follower, read_events
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import (
    BookmarkFrame,
    Frame,
    GoodbyeFrame,
    ResetFrame,
    SnapshotFrame,
)
from factstore.core.state.state import State

SNAPSHOT_ITEMS = 256  # in one frame
SNAPSHOT_BYTES = 64 * 1024  # in one frame, which has at least one item

_Item = Fact | Member | tuple[Waiter, Progress]

HandOver = Callable[[Cursor], bool]
"""Called when a stream has delivered everything before a cursor.

It returns True if the stream continues elsewhere.
"""


def _nowhere(cursor: Cursor) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Poll:
    """The result of a long poll.

    :param next: the cursor of the next poll.
    :param more: True if further events are available.
    """

    events: tuple[Event, ...]
    next: Cursor
    more: bool


class WatchService:
    """The service for watching.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(self, store: Store, events: EventSource, clock: Clock, timeout: float) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._timeout = timeout

    def cursor(self, revision: int) -> Cursor:
        """Return the cursor of a revision of this store."""
        return Cursor(self._store.epoch, revision)

    def poll(
        self,
        scope: Scope,
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
        epoch, at = self._start(scope, since, wanted)
        page, debouncer = Page(at), Debouncer(settle, end)
        while True:
            try:
                batch = self._read(scope, Cursor(epoch, page.at), *page.room)
            except CursorExpired:
                if not page.events:
                    raise
                break  # the events that were read are complete; the next poll reports the gap
            if page.take(batch, wanted.apply):
                debouncer.touch(self._clock.monotonic())
            due = debouncer.deadline
            left = (end if due is None else due) - self._clock.monotonic()
            if page.complete or left <= 0 or self._events.closing:
                break
            if not page.more:
                self._events.wait(scope, page.at, left)
        return Poll(tuple(page.events), Cursor(epoch, page.at), page.more)

    def stream(
        self,
        scope: Scope,
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
            at = self._start(scope, since, wanted)
            self._read(scope, at, 1, PAGE_BYTES)
        except CursorExpired as error:
            if not reset:
                raise
            expired = error.detail
        if expired is not None or (since is None and initial):
            return self._restarted(scope, wanted, expired, settle, hand_over)
        return self.follow(scope, at, wanted, settle, hand_over)

    def follow(
        self,
        scope: Scope,
        start: Cursor,
        wanted: Filter,
        settle: Debounce = AT_ONCE,
        hand_over: HandOver = _nowhere,
    ) -> Iterator[Frame]:
        """Yield frames as :meth:`stream` does, from a cursor that this worker has reached."""
        follower = self.follower(scope, start, wanted, settle)
        while True:
            yield from follower.frames()
            if follower.ended or (not follower.holds and hand_over(follower.cursor)):
                return
            follower.wait()

    def follower(self, scope: Scope, start: Cursor, wanted: Filter, settle: Debounce) -> Follower:
        """Return a follower from a cursor that this worker has reached."""
        return Follower(self._store, self._events, self._clock, scope, start, wanted, settle)

    def _start(self, scope: Scope, since: Cursor | None, wanted: Filter) -> Cursor:
        """Return the cursor to read from; wait until this worker has reached *since*."""
        check_stack_name(scope.stack)
        wanted.check()
        deadline = self._clock.monotonic() + self._timeout
        epoch = self._store.epoch  # read before the state, so that a change of epoch is noticed
        state = self._store.refresh(deadline)
        if state.stack(scope) is None:
            raise NotFound(f"there is no stack named {quoted(scope.stack)}.")
        if since is None:
            return Cursor(epoch, state.revision)
        if since.epoch != epoch or since.revision > state.revision:
            raise CursorExpired(
                "the cursor is from another epoch of the store, or newer than the store; list, then "
                "watch from the list's cursor."
            )
        return since

    def _read(self, scope: Scope, at: Cursor, events: int, size: int) -> EventBatch:
        return read_events(self._store, self._events, scope, at, events, size)

    def _restarted(
        self,
        scope: Scope,
        wanted: Filter,
        expired: str | None,
        settle: Debounce,
        hand_over: HandOver,
    ) -> Iterator[Frame]:
        if expired is not None:
            yield ResetFrame(expired)
        epoch, state = self._store.epoch, self._store.state()
        with state.read():
            contents = state.contents(scope, wanted.prefix)
            waiters = _waiters(state, scope) if wanted.includes_waiters else ()
        if contents is None:
            yield GoodbyeFrame("the stack was deleted")
            return
        items: tuple[_Item, ...] = (
            *wanted.facts(contents.facts),
            *wanted.members(contents.members),
            *waiters,
        )
        for part in _frames(items):
            yield SnapshotFrame(
                tuple(item for item in part if isinstance(item, Fact)),
                tuple(item for item in part if isinstance(item, Member)),
                tuple(item for item in part if isinstance(item, tuple)),
            )
        start_at = Cursor(epoch, contents.revision)
        yield BookmarkFrame(start_at)
        yield from self.follow(scope, start_at, wanted, settle, hand_over)


def _frames(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Yield the items of each frame of a snapshot."""
    frame: list[_Item] = []
    size = 0
    for item in items:
        added = item[0].size if isinstance(item, tuple) else item.size
        if frame and (len(frame) >= SNAPSHOT_ITEMS or size + added > SNAPSHOT_BYTES):
            yield frame
            frame, size = [], 0
        frame.append(item)
        size += added
    if frame:
        yield frame


def _waiters(state: State, scope: Scope) -> tuple[tuple[Waiter, Progress], ...]:
    """Return the waiters of a stack with their progress, ordered by name."""
    stack_state = state.stack_state(scope)
    if stack_state is None:
        return ()
    known = sorted(stack_state.records(Waiter).items())
    return tuple((waiter, stack_state.pending_waiters.progress(waiter)) for _, waiter in known)
