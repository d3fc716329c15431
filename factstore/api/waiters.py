"""Waiters: listing them, one of them, and what is signalled to it."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Response, jsonify, request
from flask.views import MethodView
from werkzeug.exceptions import UnsupportedMediaType

from factstore.api import answers, conditional, errors, paging, schemas, waiter_schemas
from factstore.api.blueprint import Blueprint, check_encoding, read_body
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, PAGED, WRITING, sent
from factstore.api.serializers import waiter_summary, waiter_text
from factstore.api.services import services, waiting
from factstore.core.errors import NotFound
from factstore.core.model.condition import Definition
from factstore.core.model.value import parse_json
from factstore.core.operations.signals import SignalRequest
from factstore.core.services.waiters import Shown
from factstore.policies import waiters as rules

blueprint = Blueprint("waiters", __name__, description="Conditions that can be waited for.")

SIGNAL_TYPES = ("", "application/json", "application/x-www-form-urlencoded", "text/plain")
"""A signal is JSON, whatever its sender says that it is."""

_SIGNAL = {"schema": {"anyOf": [waiter_schemas.SignalBody, waiter_schemas.AwsSignalBody]}}
_SIGNAL_REFUSALS = (
    "path_invalid", "not_found", "value_too_large", "quota_exceeded", *JSON_BODY, *WRITING,
)  # fmt: skip


@blueprint.route("/v1/stacks/<stack>/waiters")
class WaiterList(MethodView):
    """All waiters of a stack."""

    @blueprint.query(schemas.WaitersQuery)
    @blueprint.refusals("not_found", *PAGED)
    @blueprint.response(200, answers.WaiterPage)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List waiters by name, without their progress and their signals."""
        scope = access().scope(rules.LIST, stack)
        page = services().waiters.list(
            scope, limit=query["limit"], marker=query["marker"], at=paging.at(query)
        )
        return jsonify(
            waiters=[waiter_summary(waiter) for waiter in page.waiters],
            cursor=str(page.cursor),
            links=paging.links(page.cursor, page.marker),
        )


@blueprint.route("/v1/stacks/<stack>/waiters/<waiter>")
class WaiterItem(MethodView):
    """One waiter."""

    @blueprint.query(schemas.WaiterQuery)
    @blueprint.takes("if_none_match_read")
    @blueprint.refusals("path_invalid", "etag_invalid", "not_found", "too_many_waiting")
    @blueprint.response(200, waiter_schemas.Waiter, headers=sent("ETag"))
    @blueprint.alt_response(304, description="Not changed, or not in time", headers=sent("ETag"))
    def get(self, query: dict[str, Any], stack: str, waiter: str) -> Response:
        """Read a waiter; with wait, as soon as it is decided, comes further, or differs."""
        scope = access().scope(rules.GET, stack)
        known = conditional.known_tags()

        def is_known(found: Shown) -> bool:
            return known is None or _etag(waiter_text(found)) in known

        try:
            with waiting(scope, query["wait"]):
                found = services().waiters.get(
                    scope,
                    waiter,
                    wait=query["wait"],
                    unless=None if known == frozenset() else is_known,
                    stale=query["consistency"] == "stale",
                )
        except NotFound as error:
            headers = {"Retry-After": "1"} if query["wait"] else {}
            return errors.respond(error.code, error.detail, headers=headers)
        if is_known(found):
            return _tagged(Response(status=304), waiter_text(found))
        return _document(found)

    @blueprint.query(schemas.NoQuery)
    @blueprint.arguments(waiter_schemas.WaiterBody)
    @blueprint.takes("if_none_match_write")
    @blueprint.refusals(
        "path_invalid",
        "etag_invalid",
        "condition_invalid",
        "precondition_failed",
        "quota_exceeded",
        *JSON_BODY,
        *WRITING,
    )
    @blueprint.response(
        200, waiter_schemas.Waiter, headers=sent("ETag", "Factstore-Cursor", "Factstore-Unchanged")
    )
    @blueprint.alt_response(
        201,
        schema=waiter_schemas.Waiter,
        description="Created",
        headers=sent("ETag", "Factstore-Cursor"),
    )
    def put(self, query: dict[str, Any], body: dict[str, Any], stack: str, waiter: str) -> Response:
        """Arm a waiter; one that is pending with an equal definition is left as it is."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        create_only = conditional.create_only()
        found, outcome, revision = services().waiters.put(
            scope, waiter, Definition.of(body), caller.author(), create_only=create_only
        )
        response = _document(found)
        if outcome == "created":
            response.status_code = 201
            response.headers["Location"] = f"{request.root_url}v1/stacks/{stack}/waiters/{waiter}"
        elif outcome == "unchanged":
            response.headers["Factstore-Unchanged"] = "true"
        response.headers["Factstore-Cursor"] = str(services().facts.cursor(revision))
        return response

    @blueprint.query(schemas.NoQuery)
    @blueprint.refusals("path_invalid", "not_found", *WRITING)
    @blueprint.response(204, headers=sent("Factstore-Cursor"))
    def delete(self, query: dict[str, Any], stack: str, waiter: str) -> Response:
        """Remove a waiter and what was signalled to it; nobody is told."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        revision = services().waiters.delete(scope, waiter, caller.author())
        cursor = services().facts.cursor(revision)
        return Response(status=204, headers={"Factstore-Cursor": str(cursor)})


@blueprint.route("/v1/stacks/<stack>/waiters/<waiter>/signal")
class WaiterSignal(MethodView):
    """Where a waiter is signalled to."""

    @blueprint.query(schemas.NoQuery)
    @blueprint.doc(
        requestBody={"required": False, "content": {t: _SIGNAL for t in SIGNAL_TYPES if t}}
    )
    @blueprint.refusals(*_SIGNAL_REFUSALS)
    @blueprint.response(200, waiter_schemas.Waiter, headers=sent("ETag"))
    def post(self, query: dict[str, Any], stack: str, waiter: str) -> Response:
        """Signal success or failure, in the words of Heat or of AWS; without a body, success."""
        return _signal(stack, waiter)

    @blueprint.query(schemas.NoQuery)
    @blueprint.doc(
        requestBody={"required": False, "content": {t: _SIGNAL for t in SIGNAL_TYPES if t}}
    )
    @blueprint.refusals(*_SIGNAL_REFUSALS)
    @blueprint.response(200, waiter_schemas.Waiter, headers=sent("ETag"))
    def put(self, query: dict[str, Any], stack: str, waiter: str) -> Response:
        """As POST; what signals to AWS uses this method."""
        return _signal(stack, waiter)


def _signal(stack: str, waiter: str) -> Response:
    caller = access()
    scope = caller.scope(rules.SIGNAL, stack)
    caller.reach.check_signal()
    check_encoding(request)
    unreadable = bool(request.content_type) and not request.mimetype
    if unreadable or request.mimetype not in SIGNAL_TYPES:
        raise UnsupportedMediaType("send JSON, as application/json or without a type.")
    body = read_body(request)
    wish = SignalRequest.of(parse_json(body) if body else {})
    return _document(services().waiters.signal(scope, waiter, wish, caller.author())[0])


def _document(found: Shown) -> Response:
    text = waiter_text(found)
    return _tagged(Response(text, content_type="application/json"), text)


def _tagged(response: Response, text: str) -> Response:
    response.headers["ETag"] = f'"{_etag(text)}"'
    response.headers["Cache-Control"] = "no-cache"
    return response


def _etag(text: str) -> str:
    """A tag of what is shown: that moves without the record, which is written when it is decided."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
