"""The watch: one iterator that reconnects as often as necessary.

The guarantees of the stream are kept across disconnections: events arrive in order and whole, and none
is skipped or repeated.  Only if the service reports that the history is gone does the watch give up its
position; then it returns a snapshot instead of the missed events.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from factstore.client.backoff import Backoff
from factstore.client.errors import Unavailable, UnexpectedAnswer
from factstore.client.events import Bookmark, Event, Snapshot, StacksSnapshot
from factstore.client.http.failures import HttpFailure
from factstore.client.http.responses import Response
from factstore.client.snapshot_parts import SnapshotParts, StacksSnapshotParts
from factstore.client.sse import Frame, Parser
from factstore.client.transport import Transport

if TYPE_CHECKING:
    from typing import Self

LOG = logging.getLogger(__name__)

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class Parts(Protocol[S_co]):
    """The parts of a snapshot that have arrived."""

    def add(self, content: Mapping[str, Any]) -> None: ...

    def whole(self, cursor: str, reset: str | None) -> S_co: ...


class BaseWatch(Generic[S]):
    """An iterator over snapshots, events and optional bookmarks.

    Only one thread may iterate, but any thread may close the watch.

    :param params: the query parameters with the filters.
    :param since: the cursor to resume from; None to begin with a snapshot.
    """

    def _new_parts(self) -> Parts[S]:
        raise NotImplementedError

    def _ends(self, event: Event) -> bool:
        """Return True if nothing follows an event."""
        raise NotImplementedError

    def __init__(
        self,
        transport: Transport,
        url: str,
        params: Mapping[str, str],
        since: str | None,
        *,
        bookmarks: bool,
        retry_for: float | None,
    ) -> None:
        self._transport = transport
        self._url = url
        self._params = params
        self._cursor = since
        self._bookmarks = bookmarks
        self._retry_for = retry_for
        self._snapshot = self._new_parts()
        self._reset: str | None = None
        self._retry: float | None = None
        self._backoff = Backoff()
        self._lost_at: float | None = None
        self._has_connected = False
        self._unreadable_at: tuple[str | None] | None = None
        self._closed = threading.Event()
        self._response: Response | None = None
        self._items = self._follow()

    @property
    def cursor(self) -> str | None:
        """The cursor after the last item; None before the first snapshot."""
        return self._cursor

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> S | Event | Bookmark:
        return next(self._items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        with contextlib.suppress(ValueError):  # another thread is iterating and will notice the end
            self._items.close()

    def close(self) -> None:
        """End the iteration, even if another thread is waiting in it."""
        self._closed.set()
        if self._response is not None:
            # Closing a response would wait for another thread's read; a shutdown wakes that thread.
            self._response.shutdown()

    def _follow(self) -> Generator[S | Event | Bookmark, None, None]:
        while not self._closed.is_set():
            try:
                with contextlib.closing(self._frames()) as frames:
                    for frame in frames:
                        item = self._take(frame)
                        if item is not None:
                            yield item
                        if isinstance(item, Event) and self._ends(item):
                            return
            except Unavailable as error:
                if self._closed.is_set():
                    return
                # A certificate that has expired since is renewed sooner or later.
                if error.is_permanent and not self._has_connected:
                    raise
                # A connection may break at any time, but then another one should succeed.
                level = logging.INFO if self._lost_at is None else logging.WARNING
                LOG.log(
                    level, "The watch of %s is interrupted and reconnects: %s", self._url, error
                )
                self._retry = error.retry_after or self._retry
                self._check_retry_for(error)
            self._snapshot = self._new_parts()  # the next connection sends the whole snapshot again
            if not self._closed.is_set():
                self._transport.clock.sleep(self._backoff.pause(self._retry))
                self._retry = None

    def _frames(self) -> Generator[Frame, None, None]:
        """Yield the frames of one connection.

        :raises Unavailable: the connection failed or was interrupted.
        """
        params, headers = dict(self._params), {}
        if self._cursor is not None:
            headers["Last-Event-ID"] = self._cursor
        else:
            params["initial"] = "true"
        response = self._transport.open_stream(self._url, params=params, headers=headers)
        self._response = response
        self._lost_at, self._has_connected = None, True
        with contextlib.closing(response):
            if self._closed.is_set():  # closed before there was a response to shut down
                return
            parser = Parser()
            try:
                for piece in response.pieces():
                    if self._closed.is_set():
                        return
                    yield from parser.feed(piece)
            except HttpFailure as error:
                raise Unavailable(f"The stream was interrupted. {error}") from error

    def _take(self, frame: Frame) -> S | Event | Bookmark | None:
        """Return the item in a frame, after the cursor has moved past it."""
        self._backoff.reset()
        if frame.retry is not None:
            self._retry = frame.retry
        try:
            content = json.loads(frame.data) if frame.data else {}
            return self._item(frame, content)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            place = (self._cursor,)
            if self._unreadable_at == place:
                raise UnexpectedAnswer(
                    f"The frame {frame.event!r} after cursor {self._cursor} could not be read in two "
                    f"attempts: {error!r}"
                ) from error
            self._unreadable_at = place
            raise Unavailable(f"A frame {frame.event!r} cannot be read: {error!r}") from error

    def _item(self, frame: Frame, content: dict[str, Any]) -> S | Event | Bookmark | None:
        if frame.event == "change":
            event = Event.parse(content)
            if event.cursor == self._cursor:
                return None  # already returned before the connection was lost
            self._cursor = event.cursor
            return event
        if frame.event == "bookmark":
            begins, self._cursor = self._cursor is None, content["cursor"]
            if begins:
                snapshot = self._snapshot.whole(content["cursor"], self._reset)
                self._snapshot = self._new_parts()
                self._reset = None
                return snapshot
            return Bookmark(content["cursor"]) if self._bookmarks else None
        if frame.event == "snapshot":
            self._snapshot.add(content)
        elif frame.event == "reset":
            LOG.info("The watch of %s starts again: %s", self._url, content["detail"])
            self._cursor, self._reset = None, content["detail"]
            self._snapshot = self._new_parts()
        elif frame.event == "goodbye":
            LOG.info("The watch of %s reconnects: %s", self._url, content["reason"])
        return None

    def _check_retry_for(self, error: Unavailable) -> None:
        now = self._transport.clock.monotonic()
        self._lost_at = self._lost_at if self._lost_at is not None else now
        if self._retry_for is not None and now - self._lost_at >= self._retry_for:
            raise error


class Watch(BaseWatch[Snapshot]):
    """A watch of one stack.  Returned by :meth:`Stack.watch`.

    The iteration ends after the event that deletes the stack, or when the watch is closed.  If the
    stack was deleted while the watch was disconnected, the iteration raises NotFound.

    ::

        with stack.watch(initial=True) as watch:
            for item in watch:
                match item:
                    case Snapshot(facts=facts):
                        known = {fact.path: fact for fact in facts}
                    case Event(changes=changes):
                        ...
    """

    def _new_parts(self) -> Parts[Snapshot]:
        return SnapshotParts()

    def _ends(self, event: Event) -> bool:
        return event.ends_stack


class StacksWatch(BaseWatch[StacksSnapshot]):
    """A watch of many stacks.  Returned by :meth:`Client.watch`.

    The iteration ends when the watch is closed.  Each change names its stack.

    ::

        with client.watch(["prod-*"], initial=True) as watch:
            for item in watch:
                match item:
                    case StacksSnapshot(stacks=stacks):
                        known = {each.stack: each.facts for each in stacks}
                    case Event(changes=changes):
                        ...
    """

    def _new_parts(self) -> Parts[StacksSnapshot]:
        return StacksSnapshotParts()

    def _ends(self, event: Event) -> bool:
        return False
