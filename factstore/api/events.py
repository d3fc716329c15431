"""Views of events: the watch, as a stream or by long polls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Response, current_app, request
from flask.views import MethodView

from factstore.api.blueprint import Blueprint
from factstore.api.event_stream import (
    HEADERS,
    STREAM,
    ContinueStream,
    Subscription,
    open_stream,
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

_QUERY = schemas.EventsQuery()

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
        event_filter = filter_of(query, identity)
        cursor = request.headers.get("Last-Event-ID") or query["since"]
        since = Cursor.parse(cursor) if cursor else None
        if preferred(request, (JSON, STREAM)) == STREAM:
            response = _stream(scope, identity, since, event_filter, query)
        else:
            response = _poll(scope, since, event_filter, query)
        response.vary.add("Accept")
        return response


def load_query(arguments: Mapping[str, str]) -> dict[str, Any] | None:
    """Return a query as the view receives it, or None if it is not valid."""
    if _QUERY.validate(arguments):
        return None
    loaded: dict[str, Any] = _QUERY.load(arguments)
    return loaded


def filter_of(query: Mapping[str, Any], identity: Identity) -> Filter:
    """Return the filter for which a query asks."""
    types = frozenset(query["types"].split(",")) if query["types"] else frozenset()
    return Filter(query["prefix"], types, identity.permissions.reach, query["group"])


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
    begin = partial(current_app.extensions[BEGIN_STREAM], request.environ)
    request_id = request.environ.get("openstack.request_id", "")
    body = open_stream(services(), scope, identity, since, event_filter, query, request_id, begin)
    if request.method == "HEAD":
        body.close()  # the server does not send it, so it would never close it
    response = Response(body, content_type=STREAM, direct_passthrough=True)
    response.headers.extend(HEADERS)
    return response
