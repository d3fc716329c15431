"""The watch: positions, long polls and streams.

What it promises is what etcd promises: events come in order, once, without a gap, whole revisions at
a time, and can be resumed from any cursor until that history is gone, which is always said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from factstore.core.errors import CursorExpired, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.path import check_path, check_stack_name, covers, quoted
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.ports import Clock, EventBatch, EventSource, Store
from factstore.core.services.debounce import AT_ONCE, PAGE_BYTES, Debounce, Debouncer, Page

STREAM_EVENTS = 64  # read at once
SNAPSHOT_FACTS = 256
BOOKMARK_SECONDS = 30.0
PING_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes a reader wants.

    :param prefix: only paths at or below it; empty for all.
    :param types: only these change types; empty for all.
    :param permissions: of the reader; what it does not see is not told.
    """

    prefix: str = ""
    types: frozenset[str] = frozenset()
    permissions: Permissions = OWNER

    def apply(self, event: Event) -> Event | None:
        """The event with the wanted changes only, itself if that is all, None if that is none.

        The end of the stack ends every stream, and is always told.
        """
        if not self.prefix and not self.types and self.permissions.unrestricted:
            return event
        wanted = tuple(
            change
            for change in event.changes
            if change.type == "stack.delete"
            or (
                (not self.types or change.type in self.types)
                and covers(self.prefix, change.path or "")
                and self.permissions.can_read(change.path or "")
            )
        )
        if len(wanted) == len(event.changes):
            return event
        return replace(event, changes=wanted, memo={}) if wanted else None


@dataclass(frozen=True, slots=True)
class ChangeFrame:
    """One event."""

    event: Event
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class SnapshotFrame:
    """Some of the facts as they stand; a :class:`BookmarkFrame` closes the snapshot."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class BookmarkFrame:
    """Everything up to the cursor has been told."""

    cursor: Cursor


@dataclass(frozen=True, slots=True)
class ResetFrame:
    """What the reader knew is void; a snapshot follows."""

    detail: str


@dataclass(frozen=True, slots=True)
class PingFrame:
    """Nothing; it shows that the connection lives."""


@dataclass(frozen=True, slots=True)
class GoodbyeFrame:
    """The stream ends here and can be resumed elsewhere."""

    reason: str


Frame = ChangeFrame | SnapshotFrame | BookmarkFrame | ResetFrame | PingFrame | GoodbyeFrame


@dataclass(frozen=True, slots=True)
class Poll:
    """The answer to a long poll.

    :param next: where to go on from; *more*: there are further events already.
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
        """The cursor that stands for a revision of this store."""
        return Cursor(self._store.epoch, revision)

    def poll(
        self,
        scope: Scope,
        since: Cursor | None,
        wait: float,
        wanted: Filter,
        settle: Debounce = AT_ONCE,
    ) -> Poll:
        """The events after a cursor, waiting for the first; nothing when the time is over.

        :param since: None for the present.
        :param settle: wait further until no more come; a full page is given at once.
        :raises CursorExpired: that history is gone, or never was in this store.
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
                break  # what was held back is whole; the next poll is told
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
    ) -> Iterator[Frame]:
        """Frames for ever, or until the stack, the service or the reader's luck ends.

        :param since: None for the present, or with *initial* for a snapshot first.
        :param settle: hold changes back until no more come, and tell them one after another then.
        :param reset: answer an expired cursor with a reset and a snapshot rather than refuse.
        :raises CursorExpired: at once; the history is gone, and *reset* is False.
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
            return self._restarted(scope, wanted, expired, settle)
        return self._follow(scope, at, wanted, settle)

    def _start(self, scope: Scope, since: Cursor | None, wanted: Filter) -> Cursor:
        """Where to read on; waits for this worker to catch up with a cursor ahead of it."""
        check_stack_name(scope.stack)
        if wanted.prefix:
            check_path(wanted.prefix, what="prefix")
        deadline = self._clock.monotonic() + self._timeout
        epoch = self._store.epoch  # before the state: if that is a newer life's, the reader is told
        state = self._store.refresh(deadline)
        if state.stack(scope) is None:
            raise NotFound(f"there is no stack named {quoted(scope.stack)}.")
        if since is None:
            return Cursor(epoch, state.revision)
        if since.epoch != epoch or since.revision > state.revision:
            raise CursorExpired(
                "the cursor is of another life of this store; list, then watch from that cursor."
            )
        return since

    def _read(self, scope: Scope, at: Cursor, events: int, size: int) -> EventBatch:
        """The events after a cursor.

        :raises CursorExpired: that history is gone, or the store was replaced: the revisions of its
            new life mean nothing to who followed the old one.
        """
        batch = self._events.read(scope, at.revision, events=events, size=size)
        if self._store.epoch != at.epoch:  # it changes before anything of the new life is read
            raise CursorExpired("the store was replaced; list, then watch from that cursor.")
        return batch

    def _restarted(
        self, scope: Scope, wanted: Filter, expired: str | None, settle: Debounce
    ) -> Iterator[Frame]:
        if expired is not None:
            yield ResetFrame(expired)
        epoch = self._store.epoch
        contents = self._store.state().contents(scope, wanted.prefix)
        if contents is None:
            yield GoodbyeFrame("the stack was deleted")
            return
        seen = tuple(fact for fact in contents.facts if wanted.permissions.can_read(fact.path))
        for start in range(0, len(seen), SNAPSHOT_FACTS):
            yield SnapshotFrame(seen[start : start + SNAPSHOT_FACTS])
        start_at = Cursor(epoch, contents.revision)
        yield BookmarkFrame(start_at)
        yield from self._follow(scope, start_at, wanted, settle)

    def _follow(
        self, scope: Scope, start: Cursor, wanted: Filter, settle: Debounce
    ) -> Iterator[Frame]:
        epoch, told = start
        page, debouncer = Page(told), Debouncer(settle)
        spoke = bookmarked = self._clock.monotonic()
        while not self._events.closing:
            events, size = page.room
            try:
                batch = self._read(scope, Cursor(epoch, page.at), min(events, STREAM_EVENTS), size)
            except CursorExpired:
                for event in page.events:  # it was held back, but nothing of it is missing
                    yield ChangeFrame(event, Cursor(epoch, event.revision))
                yield GoodbyeFrame("what follows is not known here; resume with the last id")
                return
            now = self._clock.monotonic()
            if page.take(batch, wanted.apply):
                debouncer.touch(now)
            due = debouncer.deadline
            if due is not None and (page.complete or due <= now):
                for event in page.events:
                    told = event.revision
                    yield ChangeFrame(event, Cursor(epoch, told))
                    if event.ends_stack:
                        yield GoodbyeFrame("the stack was deleted")
                        return
                page, due = Page(page.at, more=page.more), None
                debouncer.reset()
                spoke = bookmarked = now = self._clock.monotonic()
            if page.more:
                continue
            bookmark_is_due = now - bookmarked >= BOOKMARK_SECONDS - PING_SECONDS
            if bookmark_is_due and page.at > told and not page.events:
                told, bookmarked = page.at, now
                yield BookmarkFrame(Cursor(epoch, told))
            if now - spoke >= PING_SECONDS:
                spoke = now
                yield PingFrame()
            wake = spoke + PING_SECONDS if due is None else min(due, spoke + PING_SECONDS)
            self._events.wait(scope, page.at, max(0.0, wake - self._clock.monotonic()))
        yield GoodbyeFrame("the service is stopping; resume with the last id")
