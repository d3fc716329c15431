"""The watch: positions, long polls and streams.

What it promises is what etcd promises: events come in order, once, without a gap, whole revisions at
a time, and can be resumed from any cursor until that history is gone, which is always said.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace

from factstore.core.cursor import Cursor
from factstore.core.errors import CursorExpired, NotFound
from factstore.core.event import Event
from factstore.core.fact import Fact, Scope
from factstore.core.path import check_path, check_stack_name, covers, shown
from factstore.core.ports import Clock, EventSource, Slice, Store
from factstore.core.settling import AT_ONCE, Settle, Settling

POLL_EVENTS = 1000
POLL_BYTES = 1024 * 1024
SNAPSHOT_FACTS = 256
BOOKMARK_SECONDS = 30.0
PING_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes a reader wants.

    :param prefix: only paths at or below it; empty for all.
    :param types: only these change types; empty for all.
    """

    prefix: str = ""
    types: frozenset[str] = frozenset()

    def apply(self, event: Event) -> Event | None:
        """The event with the wanted changes only, itself if that is all, None if that is none.

        The end of the stack ends every stream, and is always told.
        """
        if not self.prefix and not self.types:
            return event
        wanted = tuple(
            change
            for change in event.changes
            if change.type == "stack.delete"
            or (
                (not self.types or change.type in self.types)
                and covers(self.prefix, change.path or "")
            )
        )
        if len(wanted) == len(event.changes):
            return event
        return replace(event, changes=wanted, memo={}) if wanted else None

    def apply_all(self, events: Iterable[Event]) -> tuple[Event, ...]:
        """What is left of several."""
        return tuple([kept for event in events if (kept := self.apply(event)) is not None])


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


class Watching:
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
        settle: Settle = AT_ONCE,
    ) -> Poll:
        """The events after a cursor, waiting for the first; nothing when the time is over.

        :param since: None for the present.
        :param settle: wait further until no more come; a full page is given at once.
        :raises CursorExpired: that history is gone, or never was in this store.
        :raises NotFound: there is no such stack.
        """
        end = self._clock.monotonic() + wait
        epoch, at = self._start(scope, since, wanted)
        while True:
            batch = self._read(scope, Cursor(epoch, at), POLL_EVENTS)
            kept = wanted.apply_all(batch.events)
            if kept and settle.quiet and not batch.more:
                for _ in self._settle(scope, Cursor(epoch, at), wanted, Settling(settle, end)):
                    pass
                batch = self._read(scope, Cursor(epoch, at), POLL_EVENTS)
                kept = wanted.apply_all(batch.events)
            at = max(at, batch.upto)
            left = end - self._clock.monotonic()
            if kept or left <= 0 or self._events.closing:
                return Poll(kept, Cursor(epoch, at), batch.more)
            if not batch.more:
                self._events.wait(scope, at, left)

    def stream(
        self,
        scope: Scope,
        since: Cursor | None,
        initial: bool,
        wanted: Filter,
        reset: bool,
        settle: Settle = AT_ONCE,
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
            self._read(scope, at, 1)
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
            raise NotFound(f"there is no stack named {shown(scope.stack)}.")
        if since is None:
            return Cursor(epoch, state.revision)
        if since.epoch != epoch or since.revision > state.revision:
            raise CursorExpired(
                "the cursor is of another life of this store; list, then watch from that cursor."
            )
        return since

    def _read(self, scope: Scope, at: Cursor, events: int) -> Slice:
        """The events after a cursor.

        :raises CursorExpired: that history is gone, or the store was replaced: the revisions of its
            new life mean nothing to who followed the old one.
        """
        batch = self._events.read(scope, at.revision, events=events, size=POLL_BYTES)
        if self._store.epoch != at.epoch:  # it changes before anything of the new life is read
            raise CursorExpired("the store was replaced; list, then watch from that cursor.")
        return batch

    def _settle(
        self, scope: Scope, start: Cursor, wanted: Filter, settling: Settling
    ) -> Generator[PingFrame, None, int]:
        """Wait until it is time to tell what came after a cursor; the revision up to which to tell."""
        epoch, at = start
        spoke = self._clock.monotonic()
        while True:
            batch = self._read(scope, Cursor(epoch, at), POLL_EVENTS)
            if wanted.apply_all(batch.events):
                settling.noticed(self._clock.monotonic())
            at = max(at, batch.upto)
            left = settling.left(self._clock.monotonic())
            if left <= 0 or self._events.closing or any(e.ends_stack for e in batch.events):
                return at
            if batch.more:
                continue
            self._events.wait(scope, at, min(left, PING_SECONDS))
            if (
                self._clock.monotonic() - spoke >= PING_SECONDS
            ):  # events may keep it from timing out
                spoke = self._clock.monotonic()
                yield PingFrame()

    def _restarted(
        self, scope: Scope, wanted: Filter, expired: str | None, settle: Settle
    ) -> Iterator[Frame]:
        if expired is not None:
            yield ResetFrame(expired)
        epoch = self._store.epoch
        contents = self._store.state().contents(scope, wanted.prefix)
        if contents is None:
            yield GoodbyeFrame("the stack was deleted")
            return
        for start in range(0, len(contents.facts), SNAPSHOT_FACTS):
            yield SnapshotFrame(contents.facts[start : start + SNAPSHOT_FACTS])
        start_at = Cursor(epoch, contents.revision)
        yield BookmarkFrame(start_at)
        yield from self._follow(scope, start_at, wanted, settle)

    def _follow(
        self, scope: Scope, start: Cursor, wanted: Filter, settle: Settle
    ) -> Iterator[Frame]:
        epoch, at = start
        told = settled = at
        bookmarked = self._clock.monotonic()
        while not self._events.closing:
            try:
                if settle.quiet and at >= settled:
                    settling = Settling(settle)
                    settled = yield from self._settle(scope, Cursor(epoch, at), wanted, settling)
                batch = self._read(scope, Cursor(epoch, at), 64)
            except CursorExpired:
                yield GoodbyeFrame("what follows is not known here; resume with the last id")
                return
            for event in batch.events:
                kept = wanted.apply(event)
                if kept is not None:
                    told = event.revision
                    bookmarked = self._clock.monotonic()
                    yield ChangeFrame(kept, Cursor(epoch, told))
                if event.ends_stack:
                    yield GoodbyeFrame("the stack was deleted")
                    return
            at = max(at, batch.upto)
            if batch.more:
                continue
            now = self._clock.monotonic()
            if now - bookmarked >= BOOKMARK_SECONDS - PING_SECONDS and at > told:
                told, bookmarked = at, now
                yield BookmarkFrame(Cursor(epoch, at))
            if not self._events.wait(scope, at, PING_SECONDS):
                yield PingFrame()
        yield GoodbyeFrame("the service is stopping; resume with the last id")
