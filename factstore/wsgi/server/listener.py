"""A listener sends the events of a stack to all streams that want the same of them.

It reads, filters and renders each event once, and writes the same bytes to each socket.  It sends what
:class:`~factstore.core.services.follower.Follower` has due, as a stream in a greenlet does.  A stream
that cannot take all bytes at once leaves the listener: a greenlet sends the rest, catches up, and lets
a listener continue.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from factstore.api.event_stream import frame_pieces
from factstore.api.serializers.events import LARGE_BYTES
from factstore.core.model.cursor import Cursor
from factstore.core.services.follower import Follower
from factstore.core.services.watch_frames import BookmarkFrame, ChangeFrame, Frame, GoodbyeFrame

if TYPE_CHECKING:
    from factstore.wsgi.server.stream import Stream
    from factstore.wsgi.server.streams import Streams

LOG = logging.getLogger(__name__)

SLICE = 64  # streams that are served before other requests have their turn
COLLECTED_BYTES = 64 * 1024  # of frames that are sent before the next ones are read


class Listener:
    """The streams of one kind that are at the same position.

    :param listen: see :meth:`factstore.watch.hub.Hub.listen`; for the follower's stack.
    :ivar readers: the streams that are at the position.
    :ivar alarm_at: the instant for which an alarm is set.
    :ivar closed: True if the listener takes no more streams.
    """

    __slots__ = (
        "_audience",
        "_data",
        "_follower",
        "_framed",
        "_frames",
        "_goodbye",
        "_is_large",
        "_joining",
        "_leave",
        "_names_stacks",
        "_position",
        "_sent",
        "_streams",
        "alarm_at",
        "closed",
        "project_id",
        "readers",
    )

    def __init__(
        self,
        streams: Streams,
        follower: Follower,
        first: Stream,
        listen: Callable[[Callable[[], None]], Callable[[], None]],
    ) -> None:
        self._streams = streams
        self._follower = follower
        self._framed = first.framed
        self._names_stacks = first.watcher.wanted.many
        self.project_id = first.watcher.project_id
        self.readers: dict[Stream, None] = {}
        self._joining: list[tuple[Cursor, Stream]] = []
        self._frames: Iterator[Frame] | None = None  # those that are due, if more than fit
        self._position = follower.cursor  # the readers have everything before it
        self._audience: list[Stream] | None = None  # while something is being sent
        self._data = b""
        self._sent = 0
        self._goodbye = ""
        self._is_large = False
        self.alarm_at = math.inf
        self.closed = False
        self._leave = listen(self.wake)
        self._admit(first)
        streams.set_alarm(self, follower.due_at)

    @property
    def due_at(self) -> float:
        """The instant at which a frame is due even if nothing happens."""
        return self._follower.due_at if self.readers else -math.inf

    def join(self, stream: Stream, cursor: Cursor) -> bool | None:
        """Take over a stream that has everything before a cursor.

        :return: False if the stream has to try again later, None if it needs another listener.
        """
        behind = cursor.revision > self._follower.revision
        if behind:
            self.wake()  # to the newest revision, to which the stream has read
        if self.closed:
            return None
        if self._audience is not None:
            self._joining.append((cursor, stream))
            stream.listener = self
            return True
        if self._follower.holds:
            return None
        if behind and cursor.revision > self._follower.revision:
            return False
        self._admit(stream)
        return True

    def _admit(self, stream: Stream) -> None:
        self.readers[stream] = None
        stream.listener = self

    def remove(self, stream: Stream) -> None:
        """Forget a stream, which is sent by a greenlet or has ended."""
        self.readers.pop(stream, None)
        if not self.readers:
            self._streams.set_alarm(self, -math.inf)

    def wake(self) -> None:
        """Send what is due, unless something is being sent, after which this happens anyway."""
        if self._audience is not None or self.closed:
            return
        try:
            self._advance()
        except Exception:  # noqa: BLE001 - the caller publishes to others, too
            self._fail()

    def _advance(self) -> None:
        """Collect the frames that are due, and begin to send them."""
        frames, self._frames = self._frames or self._follower.frames(), None
        pieces, size = [], 0
        for frame in frames:
            if isinstance(frame, GoodbyeFrame):
                self._goodbye = frame.reason
                break
            if isinstance(frame, ChangeFrame) and frame.size > LARGE_BYTES:
                self._is_large = True  # it is rendered in parts, for each reader
                break
            for piece in frame_pieces(frame, names_stacks=self._names_stacks):
                pieces.append(self._framed(piece))
                size += len(piece)
            if isinstance(frame, ChangeFrame | BookmarkFrame):
                self._position = frame.cursor
            if size >= COLLECTED_BYTES:
                self._frames = frames
                break
        else:
            if not self._follower.holds:
                self._position = self._follower.cursor
        if pieces:
            self._pull_joining()
            self._data = b"".join(pieces)
            self._begin()
        else:
            self._continue()

    def _continue(self) -> None:
        """Continue after all that was collected has been sent."""
        if self._is_large:
            self._close()
            for stream in list(self.readers):
                stream.pull(b"", self._position)
        elif self._goodbye:
            self._close()
            self._data = b""
            self._begin()
        else:
            self._rest()

    def _rest(self) -> None:
        """Wait for the next event, because the readers have all events that are due."""
        joining, self._joining = self._joining, []
        for cursor, stream in joining:
            if stream.listener is not self:
                continue
            if self._follower.holds or cursor.revision > self._follower.revision:
                stream.pull(b"", cursor)
            else:  # since its cursor there was no event that was not sent before it joined
                self._admit(stream)
        if self.readers:
            self._streams.set_alarm(self, self._follower.due_at)
        else:
            self._close()

    def _pull_joining(self) -> None:
        """Let greenlets send to the streams that joined what they may have missed."""
        joining, self._joining = self._joining, []
        for cursor, stream in joining:
            if stream.listener is self:
                stream.pull(b"", cursor)

    def _close(self) -> None:
        self.closed = True
        self._leave()
        self._streams.forget(self)
        self._pull_joining()

    # Slices

    def _begin(self) -> None:
        self._audience, self._sent = list(self.readers), 0
        self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        if not self._streams.join_queue(self.project_id, self._serve):
            self._serve()

    def _serve(self) -> None:
        """Serve a slice of the streams."""
        try:
            assert self._audience is not None  # noqa: S101 - set by _begin
            readers = self._audience[self._sent : self._sent + SLICE]
            self._sent += SLICE
            if self._data:
                self._write(readers)
            else:
                for stream in readers:
                    if stream.listener is self:
                        stream.finish(self._goodbye)
            if self._sent < len(self._audience):
                self._wait_for_turn()
                return
            self._audience, self._data = None, b""
            if self._is_large or (self._goodbye and not self.closed):
                self._continue()
            elif not self.closed:
                self._advance()
        except Exception:  # noqa: BLE001 - the fair queue would lose all requests
            self._fail()

    def _write(self, readers: list[Stream]) -> None:
        write, data, size = os.write, self._data, len(self._data)
        for stream in readers:
            if stream.listener is not self:
                continue
            try:
                sent = write(stream.descriptor, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                stream.gone()
                continue
            if sent == size:
                continue
            if (
                self._goodbye
            ):  # nothing follows the position, so the end has to be sent with the rest
                stream.pull(data[sent:] + stream.last(self._goodbye), None)
            else:
                stream.pull(memoryview(data)[sent:], self._position)

    def _fail(self) -> None:
        """Cut all streams after a failure, because it is not known what their clients have."""
        LOG.exception("The streams of a stack were cut short.")
        streams = [*self.readers, *(stream for _, stream in self._joining)]
        self._joining, self._audience = [], None
        if not self.closed:
            self._close()
        for stream in streams:
            if stream.listener is self:
                stream.gone()
