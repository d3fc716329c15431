"""The watch: one iterator over however many connections it takes.

It keeps what the stream promises over disconnections: events in order, whole, none skipped and none
twice.  A position is given up only when the service says that its history is gone; then a snapshot
takes the place of what was missed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import Any, Self

import requests

from factstore.client.backoff import Backoff
from factstore.client.errors import Unavailable, UnexpectedAnswer
from factstore.client.records import Bookmark, Event, Fact, Snapshot
from factstore.client.sse import Frame, Parser
from factstore.client.transport import Transport

LOG = logging.getLogger(__name__)

Item = Snapshot | Event | Bookmark


class Watch:
    """An iterator over snapshots, events and, if wanted, bookmarks.  Made by :meth:`Stack.watch`.

    It ends after the event that deletes the stack, or when it is closed.  If the stack went while
    there was no connection, it raises NotFound.  One thread iterates; any may close.

    ::

        with stack.watch(initial=True) as watch:
            for item in watch:
                match item:
                    case Snapshot(facts):
                        known = {fact.path: fact for fact in facts}
                    case Event(changes=changes):
                        ...

    :param params: the query parameters that say what is wanted.
    :param since: the cursor to go on from; None to begin with a snapshot.
    """

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
        self._snapshot: list[Fact] = []
        self._reset: str | None = None
        self._retry: float | None = None
        self._backoff = Backoff()
        self._lost_at: float | None = None
        self._garbled_at: tuple[str | None] | None = None
        self._closed = threading.Event()
        self._response: requests.Response | None = None
        self._items = self._follow()

    @property
    def cursor(self) -> str | None:
        """Where to resume so as to see what follows the last item; None before a first snapshot."""
        return self._cursor

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
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
        with contextlib.suppress(ValueError):  # another thread iterates, and will see the end
            self._items.close()

    def close(self) -> None:
        """End the iteration, also one that another thread waits in."""
        self._closed.set()
        # Closing what another thread reads from would wait for that read; this wakes it.
        shutdown = getattr(getattr(self._response, "raw", None), "shutdown", None)
        if shutdown is not None:  # since urllib3 2.3; before, the next ping ends the iteration
            with contextlib.suppress(OSError, ValueError):  # closed already
                shutdown()

    def _follow(self) -> Generator[Item, None, None]:
        while not self._closed.is_set():
            try:
                with contextlib.closing(self._frames()) as frames:
                    for frame in frames:
                        item = self._take(frame)
                        if item is not None:
                            yield item
                        if isinstance(item, Event) and item.ends_stack:
                            return
            except Unavailable as error:
                if self._closed.is_set():
                    return
                LOG.info("watching %s was interrupted: %s", self._url, error)
                self._retry = error.retry_after or self._retry
                self._check_patience(error)
            self._snapshot.clear()  # the next one begins anew
            if not self._closed.is_set():
                self._transport.clock.sleep(self._backoff.pause(self._retry))
                self._retry = None

    def _frames(self) -> Generator[Frame, None, None]:
        """The frames of one connection.

        :raises Unavailable: it did not come about, or broke.
        """
        params, headers = dict(self._params), {}
        if self._cursor is not None:
            headers["Last-Event-ID"] = self._cursor
        else:
            params["initial"] = "true"
        response = self._transport.open_stream(self._url, params=params, headers=headers)
        self._response = response
        self._lost_at = None
        with contextlib.closing(response):
            if self._closed.is_set():  # while there was nothing to wake
                return
            parser = Parser()
            # Chunks come as they were sent; without them, waiting for more than a byte is too long.
            size = None if response.headers.get("Transfer-Encoding") == "chunked" else 1
            try:
                for piece in response.iter_content(size):
                    if self._closed.is_set():
                        return
                    yield from parser.feed(piece)
            except requests.RequestException as error:
                raise Unavailable(f"the stream broke: {error}") from error

    def _take(self, frame: Frame) -> Item | None:
        """What a frame means; remembers how far things got before anybody is told."""
        self._backoff.reset()
        if frame.retry is not None:
            self._retry = frame.retry
        try:
            content = json.loads(frame.data) if frame.data else {}
            return self._understand(frame, content)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            place = (self._cursor,)
            if self._garbled_at == place:
                raise UnexpectedAnswer(
                    f"twice after cursor {self._cursor} the stream held a frame {frame.event!r} "
                    f"that cannot be read: {error!r}"
                ) from error
            self._garbled_at = place
            raise Unavailable(f"a frame {frame.event!r} cannot be read: {error!r}") from error

    def _understand(self, frame: Frame, content: dict[str, Any]) -> Item | None:
        match frame.event:
            case "change":
                event = Event.parse(content)
                if event.cursor == self._cursor:
                    return None  # told before the connection broke
                self._cursor = event.cursor
                return event
            case "snapshot":
                self._snapshot += [Fact.parse(fact) for fact in content["facts"]]
            case "bookmark":
                begins, self._cursor = self._cursor is None, content["cursor"]
                if begins:
                    snapshot = Snapshot(tuple(self._snapshot), content["cursor"], self._reset)
                    self._snapshot.clear()
                    self._reset = None
                    return snapshot
                return Bookmark(content["cursor"]) if self._bookmarks else None
            case "reset":
                LOG.info("watching %s begins anew: %s", self._url, content["detail"])
                self._cursor, self._reset = None, content["detail"]
                self._snapshot.clear()
            case "goodbye":
                LOG.info("watching %s goes on elsewhere: %s", self._url, content["reason"])
        return None

    def _check_patience(self, error: Unavailable) -> None:
        now = self._transport.clock.monotonic()
        self._lost_at = self._lost_at if self._lost_at is not None else now
        if self._retry_for is not None and now - self._lost_at >= self._retry_for:
            raise error
