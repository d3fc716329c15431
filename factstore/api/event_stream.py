"""A watch as server-sent events (WHATWG HTML), for any server."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from factstore.api.identity import Identity
from factstore.api.responses import PIECE_CHARACTERS
from factstore.api.serializers.events import event_texts, snapshot_text
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.stack_selection import Watched
from factstore.core.ports import Clock
from factstore.core.services.composition import Services
from factstore.core.services.debounce import Debounce
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import (
    BookmarkFrame,
    ChangeFrame,
    Frame,
    GoodbyeFrame,
    PingFrame,
    ResetFrame,
    SnapshotFrame,
)

STREAM = "text/event-stream"
CREDENTIAL_SECONDS = 40.0  # between checks; with a ping of 15 s, a stream ends within 60 s
CREDENTIAL_ENDED = "the credential is no longer valid"
RETRY_MS = (500, 3000)  # spreads the clients of a stopping service that reconnect
HEADERS = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))
"""The headers of a stream; they forbid proxies to keep or to buffer it."""
FIRST = b": factstore\n\n"


class Credential:
    """The credential of a stream's reader, which is checked now and then."""

    __slots__ = ("_checked_at", "_clock", "_ended", "identity")

    def __init__(self, identity: Identity, clock: Clock) -> None:
        self.identity = identity
        self._clock = clock
        self._checked_at = clock.monotonic()
        self._ended = False

    @property
    def is_due(self) -> bool:
        """True if the credential has to be checked, or is not valid any more."""
        # Another greenlet may have taken over the stream during the check that found it.
        return self._ended or self._clock.monotonic() - self._checked_at >= CREDENTIAL_SECONDS

    def begin_check(self) -> None:
        """Note that the credential is being checked."""
        self._checked_at = self._clock.monotonic()

    def check(self) -> bool:
        """Return True if the credential is still valid."""
        self.begin_check()
        self._ended = self._ended or not self.identity.still_valid()
        return not self._ended


class Watcher(NamedTuple):
    """The reader of a stream, and the events that it receives.

    :param release: called once when the stream has ended.
    """

    of: Watched
    wanted: Filter
    settle: Debounce
    credential: Credential
    request_id: str
    release: Callable[[], None]

    @property
    def project_id(self) -> str:
        """The project of the reader."""
        return self.credential.identity.project_id


ContinueStream = Callable[[Cursor], bool]
"""Lets the server send the rest of a stream; returns False if it has to be sent as before."""


def stream_chunks(
    frames: Iterator[Frame], credential: Credential, *, names_stacks: bool = False
) -> Iterator[bytes]:
    """Yield the first bytes of a stream, and then its frames."""
    yield FIRST
    yield from frame_chunks(frames, credential, names_stacks=names_stacks)


def frame_chunks(
    frames: Iterator[Frame], credential: Credential, *, names_stacks: bool = False
) -> Iterator[bytes]:
    """Yield frames as bytes until the credential is no longer valid."""
    for frame in frames:
        if credential.is_due and not credential.check():
            yield goodbye_piece(CREDENTIAL_ENDED)
            return
        yield from frame_pieces(frame, names_stacks=names_stacks)


def frame_pieces(frame: Frame, *, names_stacks: bool = False) -> Iterator[bytes]:
    """Yield a frame as a server-sent event.

    :param names_stacks: name the stack of each change, and of each part of a snapshot.
    """
    # JSON texts contain no newline, so each fits into one data line.
    match frame:
        case ChangeFrame():
            yield from _change_pieces(frame, names_stacks)
        case SnapshotFrame():
            text = snapshot_text(frame, names_stack=names_stacks)
            yield f"event: snapshot\ndata: {text}\n\n".encode()
        case BookmarkFrame(cursor):
            yield f'id: {cursor}\nevent: bookmark\ndata: {{"cursor":"{cursor}"}}\n\n'.encode()
        case ResetFrame(detail):
            yield f"event: reset\ndata: {json.dumps({'detail': detail})}\n\n".encode()
        case PingFrame():
            yield b": ping\n\n"
        case GoodbyeFrame(reason):
            yield goodbye_piece(reason)


def _change_pieces(frame: ChangeFrame, names_stacks: bool) -> Iterator[bytes]:
    """Yield a change, with a data line for each text of its events."""
    piece = f"id: {frame.cursor}\nevent: change"
    for text in event_texts(frame.events, frame.cursor.epoch, names_stacks=names_stacks):
        if len(piece) > PIECE_CHARACTERS:
            yield piece.encode()
            piece = ""
        piece = f"{piece}\ndata: {text}"
    yield f"{piece}\n\n".encode()


def goodbye_piece(reason: str) -> bytes:
    """Return the last frame of a stream; each has another time after which the client reconnects."""
    retry = random.randint(*RETRY_MS)  # noqa: S311 - not a secret
    data = json.dumps({"reason": reason})
    return f"event: goodbye\nretry: {retry}\ndata: {data}\n\n".encode()


class StreamBody:
    """The body of a stream.

    The server closes it even if it never began to send it (PEP 3333), which a generator would not
    notice.

    :param release: releases the stream's place among the open streams.
    :ivar continue_stream: None if the server cannot send the rest of the stream itself.
    :ivar ended: True once the stream has ended or the server continues it.
    """

    chunks: Iterator[bytes]
    continue_stream: ContinueStream | None = None

    def __init__(self, release: Callable[[], None]) -> None:
        self.release = release
        self.ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def hand_over(self, cursor: Cursor) -> bool:
        """Let the server continue the stream after a cursor; return False if it cannot."""
        if self.continue_stream is None or not self.continue_stream(cursor):
            return False
        self.ended = True
        return True

    def close(self) -> None:
        """Release the stream's place, once, unless the server continues the stream."""
        if not self.ended:
            self.ended = True
            self.release()


def open_stream(
    services: Services,
    of: Watched,
    identity: Identity,
    since: Cursor | None,
    wanted: Filter,
    query: Mapping[str, Any],
    request_id: str,
    begin: Callable[[Watcher], ContinueStream | None],
) -> StreamBody:
    """Return the body of a new stream.

    :param begin: prepares the connection; returns None if the server cannot continue the stream.
    """
    watcher = new_watcher(services, of, identity, wanted, query, request_id)
    body = StreamBody(watcher.release)
    try:
        reset = query["on_gap"] == "reset"
        frames = services.watch.stream(
            of, since, query["initial"], wanted, reset, watcher.settle, body.hand_over
        )
    except BaseException:
        body.close()
        raise
    body.chunks = stream_chunks(frames, watcher.credential, names_stacks=wanted.many)
    body.continue_stream = begin(watcher)
    return body


def new_watcher(
    services: Services,
    of: Watched,
    identity: Identity,
    wanted: Filter,
    query: Mapping[str, Any],
    request_id: str,
) -> Watcher:
    """Return the reader of a new stream, which has a place among the open streams until it is released.

    :raises Throttled: there are too many.
    """
    settle = Debounce.of(query["settle"], query["max_settle"])
    credential = Credential(identity, services.clock)
    stack, patterns = (of.stack, 0) if isinstance(of, Scope) else (None, of.patterns.wildcards)
    release = services.rate_limiter.stream(identity.project_id, stack, patterns=patterns)
    return Watcher(of, wanted, settle, credential, request_id, release)
