"""Views of events: the watch, as a stream or by long polls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Response, current_app, request
from flask.views import MethodView

from factstore.api.blueprint import Blueprint
from factstore.api.event_stream import (
    HEADERS,
    STREAM,
    ContinueStream,
    Credential,
    Subscription,
    stream_chunks,
)
from factstore.api.identity import Identity, access
from factstore.api.media import JSON, preferred
from factstore.api.raw_json import array_texts, object_texts
from factstore.api.responses import texts_response
from factstore.api.schemas import events as schemas
from factstore.api.serializers.events import event_texts
from factstore.api.services import services, waiting
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.services.debounce import Debounce
from factstore.core.services.watch_filter import Filter
from factstore.policies import stacks as rules

blueprint = Blueprint("events", __name__, description="The watch.")

BEGIN_STREAM = "factstore.begin_stream"
"""The application's extension, a :data:`BeginStream`."""

BeginStream = Callable[[WSGIEnvironment, Subscription], ContinueStream | None]
"""Prepares a connection for a stream; returns None if the server cannot continue the stream."""


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
        event_filter = Filter(query["prefix"], types, identity.permissions.reach, query["group"])
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
    credential = Credential(identity, known.clock)
    body = _StreamBody(known.rate_limiter.stream(scope))
    try:
        settle = Debounce.of(query["settle"], query["max_settle"])
        frames = known.watch.stream(
            scope,
            since,
            query["initial"],
            event_filter,
            query["on_gap"] == "reset",
            settle,
            body.hand_over,
        )
        epoch = known.epoch
    except BaseException:
        body.close()
        raise
    body.chunks = stream_chunks(frames, epoch, credential)
    body.continue_stream = current_app.extensions[BEGIN_STREAM](
        request.environ,
        Subscription(
            scope,
            event_filter,
            settle,
            epoch,
            credential,
            request.environ.get("openstack.request_id", ""),
            body.release,
        ),
    )
    if request.method == "HEAD":
        body.close()  # the server does not send it, so it would never close it
    response = Response(body, content_type=STREAM, direct_passthrough=True)
    response.headers.extend(HEADERS)
    return response


class _StreamBody:
    """The body of a stream.

    The server closes it even if it never began to send it (PEP 3333), which a generator would not
    notice.

    :param release: releases the stream's place among the open streams.
    :ivar continue_stream: None if the server cannot send the rest of the stream itself.
    """

    chunks: Iterator[bytes]
    continue_stream: ContinueStream | None = None

    def __init__(self, release: Callable[[], None]) -> None:
        self.release = release
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def hand_over(self, cursor: Cursor) -> bool:
        """Let the server continue the stream after a cursor; return False if it cannot."""
        if self.continue_stream is None or not self.continue_stream(cursor):
            return False
        self._ended = True
        return True

    def close(self) -> None:
        """Release the stream's place, once, unless the server continues the stream."""
        if not self._ended:
            self._ended = True
            self.release()
