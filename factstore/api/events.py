"""Views of events: the watch of one stack or many, as a stream or by long polls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
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
    Watcher,
    open_stream,
)
from factstore.api.identity import access
from factstore.api.media import JSON, preferred
from factstore.api.raw_json import array_texts, object_texts
from factstore.api.responses import texts_response
from factstore.api.schemas import events as schemas
from factstore.api.serializers.events import event_texts
from factstore.api.services import services, waiting
from factstore.core.errors import Forbidden
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import by_revision
from factstore.core.model.permissions import Permissions
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection, Watched
from factstore.core.services.debounce import Debounce
from factstore.core.services.watch import Poll
from factstore.core.services.watch_filter import Filter
from factstore.policies import stacks as rules

blueprint = Blueprint("events", __name__, description="The watch.")

_QUERY = schemas.EventsQuery()

BEGIN_STREAM = "factstore.begin_stream"
"""The application's extension, a :data:`BeginStream`."""

BeginStream = Callable[[WSGIEnvironment, Watcher], ContinueStream | None]
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
        return _watch(scope, filter_of(query, access().identity().permissions.reach), query)


@blueprint.route("/v1/events")
class AllEvents(MethodView):
    """The events of many stacks."""

    @blueprint.query(schemas.AllEventsQuery)
    @blueprint.request_headers("last_event_id")
    @blueprint.error_codes(
        "path_invalid",
        "cursor_invalid",
        "cursor_expired",
        "too_many_streams",
        "too_many_waiting",
    )
    @blueprint.response(200, schemas.AllEventsPage)
    @blueprint.alt_response(
        200,
        schema={"type": "string"},
        content_type=STREAM,
        description="Server-sent events until the service stops",
    )
    def get(self, query: dict[str, Any]) -> Response:
        """Watch the stacks of a project, as a stream or by long polls."""
        identity = access().check(rules.ALL_EVENTS)
        if identity.stack:
            raise Forbidden(f"The grant is only valid for stack {identity.stack}.")
        project_id = None if query["all_projects"] else query["project_id"] or identity.project_id
        if project_id != identity.project_id:
            access().check(rules.ALL_EVENTS_ANY, project_id or "*")  # no project has this id
        patterns = StackPatterns.of(names_of(query["stacks"]))
        wanted = replace(filter_of(query, identity.permissions.reach), many=True)
        return _watch(StackSelection(project_id, patterns), wanted, query)


def _watch(of: Watched, wanted: Filter, query: dict[str, Any]) -> Response:
    cursor = request.headers.get("Last-Event-ID") or query["since"]
    since = Cursor.parse(cursor) if cursor else None
    if preferred(request, (JSON, STREAM)) == STREAM:
        response = _stream(of, since, wanted, query)
    else:
        response = _poll(of, since, wanted, query)
    response.vary.add("Accept")
    return response


def load_query(arguments: Mapping[str, str]) -> dict[str, Any] | None:
    """Return a query as the view receives it, or None if it is not valid."""
    if _QUERY.validate(arguments):
        return None
    loaded: dict[str, Any] = _QUERY.load(arguments)
    return loaded


def filter_of(query: Mapping[str, Any], reach: Permissions) -> Filter:
    """Return the filter for which a query asks.

    :param reach: of the caller's permissions.
    """
    types, prefixes, groups, alarms = (
        names_of(query[name]) for name in ("types", "prefix", "group", "alarm")
    )
    return Filter(prefixes, frozenset(types), reach, groups, alarms=alarms)


def names_of(text: str) -> tuple[str, ...]:
    """Return the names that commas separate, in order and without duplicates."""
    return tuple(sorted(set(text.split(",")))) if text else ()


def _poll(of: Watched, since: Cursor | None, wanted: Filter, query: dict[str, Any]) -> Response:
    wait = query["wait"]
    patterns = of.patterns.wildcards if isinstance(of, StackSelection) else 0
    with waiting(access().identity().project_id, wait or query["settle"], patterns):
        poll = services().watch.poll(
            of, since, wait, wanted, Debounce.of(query["settle"], query["max_settle"])
        )
    response = texts_response(partial(poll_texts, poll, names_stacks=wanted.many))
    response.headers["Cache-Control"] = "no-store"
    return response


def poll_texts(poll: Poll, *, names_stacks: bool = False) -> Iterator[str]:
    """Yield the parts of the JSON text with the result of a poll."""
    fields = {"next": str(poll.next), "more": poll.more}
    events = (
        event_texts(found, poll.next.epoch, names_stacks=names_stacks)
        for found in by_revision(poll.events)
    )
    return object_texts(fields, {"events": array_texts(events)})


def _stream(of: Watched, since: Cursor | None, wanted: Filter, query: dict[str, Any]) -> Response:
    begin = partial(current_app.extensions[BEGIN_STREAM], request.environ)
    request_id = request.environ.get("openstack.request_id", "")
    identity = access().identity()
    body = open_stream(services(), of, identity, since, wanted, query, request_id, begin)
    if request.method == "HEAD":
        body.close()  # the server does not send it, so it would never close it
    response = Response(body, content_type=STREAM, direct_passthrough=True)
    response.headers.extend(HEADERS)
    return response
