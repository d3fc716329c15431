"""The watch, streamed or polled."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, current_app, request
from flask.views import MethodView

from factstore.api import answers, schemas
from factstore.api.blueprint import Blueprint
from factstore.api.identity import Identity, access
from factstore.api.serializers import event_text, fact_text
from factstore.api.services import Services, services, waiting
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.ports import Clock
from factstore.core.services.debounce import Debounce
from factstore.core.services.watch import (
    BookmarkFrame,
    ChangeFrame,
    Filter,
    Frame,
    GoodbyeFrame,
    PingFrame,
    ResetFrame,
    SnapshotFrame,
)
from factstore.policies import stacks as rules

blueprint = Blueprint("events", __name__, description="The watch.")

WRITE_TIMEOUT = "factstore.write_timeout"
"""The application's extension that limits the time of writes to a request's connection."""
STREAM = "text/event-stream"
CREDENTIAL_SECONDS = 45.0  # between checks; with a ping of 15 s, a stream ends within 60 s
RETRY_MS = (500, 3000)  # a stopping service spreads those who come back


@blueprint.route("/v1/stacks/<stack>/events")
class Events(MethodView):
    """What happens in a stack."""

    @blueprint.query(schemas.EventsQuery)
    @blueprint.takes("last_event_id")
    @blueprint.refusals(
        "path_invalid",
        "cursor_invalid",
        "not_found",
        "cursor_expired",
        "too_many_streams",
        "too_many_waiting",
    )
    @blueprint.response(200, answers.EventPage)
    @blueprint.alt_response(
        200,
        schema={"type": "string"},
        content_type=STREAM,
        description="Server-sent events, until the stack or the service ends",
    )
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Follow a stack: as a stream with Accept: text/event-stream, else by long polls."""
        known = services()
        scope = access().scope(rules.EVENTS, stack)
        identity = access().identity()
        types = frozenset(query["types"].split(",")) if query["types"] else frozenset()
        wanted = Filter(query["prefix"], types, identity.reach)
        at = request.headers.get("Last-Event-ID") or query["since"]
        since = Cursor.parse(at) if at else None
        accepted = request.accept_mimetypes
        if accepted[STREAM] > accepted["application/json"]:
            return _stream(known, scope, identity, since, wanted, query)
        return _poll(known, scope, since, wanted, query)


def _poll(
    known: Services, scope: Scope, since: Cursor | None, wanted: Filter, query: dict[str, Any]
) -> Response:
    wait = query["wait"]
    with waiting(scope, wait or query["settle"]):
        poll = known.watch.poll(
            scope, since, wait, wanted, Debounce.of(query["settle"], query["max_settle"])
        )
    events = ",".join(_text(event, poll.next) for event in poll.events)
    more = "true" if poll.more else "false"
    text = f'{{"events":[{events}],"next":"{poll.next}","more":{more}}}'
    response = Response(text, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _text(event: Event, head: Cursor) -> str:
    return event_text(event, Cursor(head.epoch, event.revision))


def _stream(
    known: Services,
    scope: Scope,
    identity: Identity,
    since: Cursor | None,
    wanted: Filter,
    query: dict[str, Any],
) -> Response:
    leave = known.rate_limiter.stream(scope)
    try:
        frames = known.watch.stream(
            scope,
            since,
            query["initial"],
            wanted,
            query["on_gap"] == "reset",
            Debounce.of(query["settle"], query["max_settle"]),
        )
        epoch = known.facts.cursor(0).epoch
    except BaseException:
        leave()
        raise
    current_app.extensions[WRITE_TIMEOUT](request.environ)
    body = _Body(_rendered(frames, epoch, identity, known.clock), leave)
    if request.method == "HEAD":
        body.close()  # nobody will send it
    response = Response(body, content_type=STREAM, direct_passthrough=True)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


class _Body:
    """What a server sends, and closes in any case (PEP 3333), whether it was begun or not."""

    def __init__(self, chunks: Iterator[bytes], leave: Callable[[], None]) -> None:
        self._chunks = chunks
        self._leave: Callable[[], None] | None = leave

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """Let go of the stream."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


def _rendered(
    frames: Iterator[Frame], epoch: str, identity: Identity, clock: Clock
) -> Iterator[bytes]:
    """Frames as bytes, for as long as the credential holds."""
    checked = clock.monotonic()
    yield b": factstore\n\n"
    for frame in frames:
        if clock.monotonic() - checked >= CREDENTIAL_SECONDS:
            if not identity.still_valid():
                yield _goodbye("the credential is no longer valid")
                return
            checked = clock.monotonic()
        yield render_frame(frame, epoch)


def render_frame(frame: Frame, epoch: str) -> bytes:
    """One frame of the stream (WHATWG HTML, server-sent events); JSON text never holds a newline."""
    match frame:
        case ChangeFrame(event, cursor):
            return f"id: {cursor}\nevent: change\ndata: {event_text(event, cursor)}\n\n".encode()
        case SnapshotFrame(facts):
            texts = ",".join(fact_text(fact, epoch) for fact in facts)
            return f'event: snapshot\ndata: {{"facts":[{texts}]}}\n\n'.encode()
        case BookmarkFrame(cursor):
            return f'id: {cursor}\nevent: bookmark\ndata: {{"cursor":"{cursor}"}}\n\n'.encode()
        case ResetFrame(detail):
            return f"event: reset\ndata: {json.dumps({'detail': detail})}\n\n".encode()
        case PingFrame():
            return b": ping\n\n"
        case GoodbyeFrame(reason):
            return _goodbye(reason)


def _goodbye(reason: str) -> bytes:
    retry = random.randint(*RETRY_MS)  # noqa: S311 - spread, not secrecy
    data = json.dumps({"reason": reason})
    return f"event: goodbye\nretry: {retry}\ndata: {data}\n\n".encode()
