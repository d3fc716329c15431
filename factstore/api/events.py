"""Views of events: the watch, as a stream or by long polls."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, current_app, request
from flask.views import MethodView

from factstore.api.blueprint import Blueprint
from factstore.api.identity import Identity, access
from factstore.api.media import JSON, preferred
from factstore.api.raw_json import array_texts, object_texts
from factstore.api.responses import PIECE_CHARACTERS, texts_response
from factstore.api.schemas import events as schemas
from factstore.api.serializers.events import event_texts, snapshot_text
from factstore.api.services import services, waiting
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.ports import Clock
from factstore.core.services.debounce import Debounce
from factstore.core.services.watch import (
    BookmarkFrame,
    ChangeFrame,
    Frame,
    GoodbyeFrame,
    PingFrame,
    ResetFrame,
    SnapshotFrame,
)
from factstore.core.services.watch_filter import Filter
from factstore.policies import stacks as rules

blueprint = Blueprint("events", __name__, description="The watch.")

BEGIN_STREAM = "factstore.begin_stream"
"""The application's extension that notes on a request's connection that the response is a stream."""
STREAM = "text/event-stream"
CREDENTIAL_SECONDS = 45.0  # between checks; with a ping of 15 s, a stream ends within 60 s
RETRY_MS = (500, 3000)  # spreads the clients of a stopping service that reconnect


@blueprint.route("/v1/stacks/<stack>/events")
class Events(MethodView):
    """The events of a stack."""

    @blueprint.query(schemas.EventsQuery)
    @blueprint.request_headers("last_event_id")
    @blueprint.error_codes(
        "path_invalid",
        "cursor_invalid",
        "not_found",
        "cursor_expired",
        "too_many_streams",
        "too_many_waiting",
    )
    @blueprint.response(200, schemas.EventPage)
    @blueprint.alt_response(
        200,
        schema={"type": "string"},
        content_type=STREAM,
        description="Server-sent events until the stack is deleted or the service stops",
    )
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Watch a stack: as a stream with Accept: text/event-stream, otherwise by long polls."""
        scope = access().scope(rules.EVENTS, stack)
        identity = access().identity()
        types = frozenset(query["types"].split(",")) if query["types"] else frozenset()
        event_filter = Filter(query["prefix"], types, identity.permissions, query["group"])
        cursor = request.headers.get("Last-Event-ID") or query["since"]
        since = Cursor.parse(cursor) if cursor else None
        if preferred(request, (JSON, STREAM)) == STREAM:
            response = _stream(scope, identity, since, event_filter, query)
        else:
            response = _poll(scope, since, event_filter, query)
        response.vary.add("Accept")
        return response


def _poll(
    scope: Scope, since: Cursor | None, event_filter: Filter, query: dict[str, Any]
) -> Response:
    wait = query["wait"]
    with waiting(scope, wait or query["settle"]):
        poll = services().watch.poll(
            scope, since, wait, event_filter, Debounce.of(query["settle"], query["max_settle"])
        )
    fields = {"next": str(poll.next), "more": poll.more}

    def texts() -> Iterator[str]:
        events = (event_texts(event, poll.next.epoch) for event in poll.events)
        return object_texts(fields, {"events": array_texts(events)})

    response = texts_response(texts)
    response.headers["Cache-Control"] = "no-store"
    return response


def _stream(
    scope: Scope,
    identity: Identity,
    since: Cursor | None,
    event_filter: Filter,
    query: dict[str, Any],
) -> Response:
    known = services()
    release = known.rate_limiter.stream(scope)
    try:
        frames = known.watch.stream(
            scope,
            since,
            query["initial"],
            event_filter,
            query["on_gap"] == "reset",
            Debounce.of(query["settle"], query["max_settle"]),
        )
        epoch = known.epoch
    except BaseException:
        release()
        raise
    current_app.extensions[BEGIN_STREAM](request.environ)
    body = _StreamBody(stream_chunks(frames, epoch, identity, known.clock), release)
    if request.method == "HEAD":
        body.close()  # the server does not send it, so it would never close it
    response = Response(body, content_type=STREAM, direct_passthrough=True)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


class _StreamBody:
    """The body of a stream.

    The server closes it even if it never began to send it (PEP 3333), which a generator would not
    notice.
    """

    def __init__(self, chunks: Iterator[bytes], release: Callable[[], None]) -> None:
        self._chunks = chunks
        self._release: Callable[[], None] | None = release

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """Release the stream's place among the open streams, once."""
        release, self._release = self._release, None
        if release is not None:
            release()


def stream_chunks(
    frames: Iterator[Frame], epoch: str, identity: Identity, clock: Clock
) -> Iterator[bytes]:
    """Yield frames as bytes until the credential is no longer valid."""
    checked = clock.monotonic()
    yield b": factstore\n\n"
    for frame in frames:
        if clock.monotonic() - checked >= CREDENTIAL_SECONDS:
            if not identity.still_valid():
                yield _goodbye_text("the credential is no longer valid")
                return
            checked = clock.monotonic()
        yield from frame_pieces(frame, epoch)


def frame_pieces(frame: Frame, epoch: str) -> Iterator[bytes]:
    """Yield a frame as a server-sent event (WHATWG HTML)."""
    # JSON texts contain no newline, so each fits into one data line.
    match frame:
        case ChangeFrame():
            yield from _change_pieces(frame, epoch)
        case SnapshotFrame():
            yield f"event: snapshot\ndata: {snapshot_text(frame, epoch)}\n\n".encode()
        case BookmarkFrame(cursor):
            yield f'id: {cursor}\nevent: bookmark\ndata: {{"cursor":"{cursor}"}}\n\n'.encode()
        case ResetFrame(detail):
            yield f"event: reset\ndata: {json.dumps({'detail': detail})}\n\n".encode()
        case PingFrame():
            yield b": ping\n\n"
        case GoodbyeFrame(reason):
            yield _goodbye_text(reason)


def _change_pieces(frame: ChangeFrame, epoch: str) -> Iterator[bytes]:
    """Yield a change, with a data line for each text of its event."""
    piece = f"id: {frame.cursor}\nevent: change"
    for text in event_texts(frame.event, epoch):
        if len(piece) > PIECE_CHARACTERS:
            yield piece.encode()
            piece = ""
        piece = f"{piece}\ndata: {text}"
    yield f"{piece}\n\n".encode()


def _goodbye_text(reason: str) -> bytes:
    retry = random.randint(*RETRY_MS)  # noqa: S311 - not a secret
    data = json.dumps({"reason": reason})
    return f"event: goodbye\nretry: {retry}\ndata: {data}\n\n".encode()
