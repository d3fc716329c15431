"""Views of waiters and of signals to them."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response, request
from flask.views import MethodView
from werkzeug.exceptions import UnsupportedMediaType

from factstore.api import conditional, paging
from factstore.api.blocking_read import blocking_read
from factstore.api.blueprint import Blueprint, read_body
from factstore.api.identity import access
from factstore.api.openapi import CONDITIONAL_READ, JSON_BODY, PAGED, WRITE
from factstore.api.responses import (
    deleted,
    etag_of,
    missing,
    page_response,
    set_etag,
    set_location,
    set_written,
    texts_response,
)
from factstore.api.schemas import waiters as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.waiters import waiter_summary_text, waiter_texts
from factstore.api.services import charge_conditions, services
from factstore.core.errors import NotFound
from factstore.core.model.definition import Definition
from factstore.core.model.precondition import ABSENT
from factstore.core.model.value import parse_json
from factstore.core.operations.signals import NESTING, SignalRequest
from factstore.core.services.waiters import WaiterView
from factstore.policies import waiters as rules

blueprint = Blueprint("waiters", __name__, description="Conditions to wait for.")

# curl and Heat's tools send signals as JSON under these types; none at all is allowed too.
SIGNAL_TYPES = ("", "application/json", "application/x-www-form-urlencoded", "text/plain")

_SIGNAL = {
    "schema": {"anyOf": [schemas.SignalBody, schemas.AwsSignalBody]},
    "example": schemas.SignalBody.example,
}
_SIGNAL_BODY = {"required": False, "content": {each: _SIGNAL for each in SIGNAL_TYPES if each}}
_SIGNAL_ERRORS = (
    "path_invalid", "not_found", "quota_exceeded", *JSON_BODY, *WRITE,
)  # fmt: skip


@blueprint.route("/v1/stacks/<stack>/waiters")
class WaiterList(MethodView):
    """All waiters of a stack."""

    @blueprint.query(schemas.WaitersQuery)
    @blueprint.error_codes("not_found", *PAGED)
    @blueprint.response(200, schemas.WaiterPage)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List waiters by name, without their progress and signals."""
        scope = access().scope(rules.LIST, stack)
        page = services().waiters.list(
            scope, limit=query["limit"], marker=query["marker"], at=paging.cursor(query)
        )
        return page_response("waiters", page, waiter_summary_text)


@blueprint.route("/v1/stacks/<stack>/waiters/<waiter>")
class WaiterItem(MethodView):
    """One waiter."""

    @blueprint.query(schemas.WaiterQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.Waiter, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, waiter: str) -> Response:
        """Read a waiter; with wait, wait until it is decided, makes progress or differs."""
        scope = access().scope(rules.GET, stack)
        read = partial(services().waiters.get, scope, waiter)
        try:
            return blocking_read(scope, query, read, waiter_texts, until_decided=True)
        except NotFound as error:
            return missing(error, query["wait"])

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.WaiterBody)
    @blueprint.request_headers("if_none_match_write")
    @blueprint.error_codes(
        "path_invalid",
        "etag_invalid",
        "condition_invalid",
        "precondition_failed",
        "quota_exceeded",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(
        200,
        schemas.Waiter,
        headers=(
            "ETag",
            "Factstore-Cursor",
            "Factstore-Unchanged",
        ),
    )
    @blueprint.alt_response(
        201,
        schema=schemas.Waiter,
        description="Created",
        headers=(
            "ETag",
            "Factstore-Cursor",
        ),
    )
    def put(self, query: dict[str, Any], body: dict[str, Any], stack: str, waiter: str) -> Response:
        """Arm a waiter; a pending waiter with an equal definition is not changed."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        create_only = conditional.write_precondition() == ABSENT
        definition = Definition.of(body)
        found, outcome, cursor = services().waiters.put(
            scope, waiter, definition, caller.author(), create_only=create_only
        )
        if outcome != "unchanged":
            charge_conditions(scope, sum(1 for _ in definition.leaves()))
        response = _response(found)
        if outcome == "created":
            set_location(response, "stacks", stack, "waiters", waiter)
        return set_written(response, cursor, unchanged=outcome == "unchanged")

    @blueprint.query(NoQuery)
    @blueprint.error_codes("path_invalid", "not_found", *WRITE)
    @blueprint.response(204, headers=("Factstore-Cursor",))
    def delete(self, query: dict[str, Any], stack: str, waiter: str) -> Response:
        """Delete a waiter and its signals, without an event."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        cursor = services().waiters.delete(scope, waiter, caller.author())
        return deleted(cursor)


@blueprint.route("/v1/stacks/<stack>/waiters/<waiter>/signal")
class WaiterSignal(MethodView):
    """Signals to a waiter."""

    @blueprint.query(NoQuery)
    @blueprint.doc(requestBody=_SIGNAL_BODY)
    @blueprint.error_codes(*_SIGNAL_ERRORS)
    @blueprint.response(200, schemas.Waiter, headers=("ETag",))
    def post(self, query: dict[str, Any], stack: str, waiter: str) -> Response:
        """Signal success or failure in the form of Heat or of AWS; without a body, success."""
        return _signal(stack, waiter)

    @blueprint.query(NoQuery)
    @blueprint.doc(requestBody=_SIGNAL_BODY)
    @blueprint.error_codes(*_SIGNAL_ERRORS)
    @blueprint.response(200, schemas.Waiter, headers=("ETag",))
    def put(self, query: dict[str, Any], stack: str, waiter: str) -> Response:
        """Signal success or failure; the same as POST, for tools that signal to AWS."""
        return _signal(stack, waiter)


def _signal(stack: str, waiter: str) -> Response:
    caller = access()
    scope = caller.scope(rules.SIGNAL, stack)
    caller.permissions.check_signal()
    body = read_body(request)
    unparsable = bool(request.content_type) and not request.mimetype
    if body and (unparsable or request.mimetype not in SIGNAL_TYPES):
        raise UnsupportedMediaType("Send JSON, as application/json or without a type.")
    signal = SignalRequest.of(parse_json(body, NESTING) if body else {})
    return _response(services().waiters.signal(scope, waiter, signal, caller.author())[0])


def _response(found: WaiterView) -> Response:
    texts = partial(waiter_texts, found)
    return set_etag(texts_response(texts), etag_of(texts()))
