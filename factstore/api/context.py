"""The context."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional, context_schemas, errors, schemas
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import sent
from factstore.api.services import services, waiting
from factstore.core.errors import NotFound
from factstore.core.services.debounce import Debounce
from factstore.policies import stacks as rules

blueprint = Blueprint("context", __name__, description="A stack as one document.")

HEADERS = sent("ETag", "Factstore-Cursor")


@blueprint.route("/v1/stacks/<stack>/context")
class ContextItem(MethodView):
    """Everything a stack knows."""

    @blueprint.query(schemas.ContextQuery)
    @blueprint.takes("if_none_match_read")
    @blueprint.refusals("path_invalid", "etag_invalid", "not_found", "too_many_waiting")
    @blueprint.response(200, context_schemas.Context, headers=HEADERS)
    @blueprint.alt_response(304, description="Not changed, or not in time", headers=HEADERS)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Read the context; with wait, as soon as it differs from what is known."""
        return _read(query, stack)

    @blueprint.query(schemas.ContextQuery)
    @blueprint.takes("if_none_match_read")
    @blueprint.refusals("path_invalid", "etag_invalid", "not_found", "too_many_waiting")
    @blueprint.response(200, headers=HEADERS)
    @blueprint.alt_response(304, description="Not changed, or not in time", headers=HEADERS)
    def head(self, query: dict[str, Any], stack: str) -> Response:
        """As GET, without the body."""
        return _read(query, stack)


def _read(query: dict[str, Any], stack: str) -> Response:
    scope = access().scope(rules.CONTEXT, stack)
    known = conditional.known_tags()
    try:
        with waiting(scope, query["wait"] or query["settle"]):
            context = services().context.get(
                scope,
                results=query["include"] == "results",
                member=query["member"],
                wait=query["wait"],
                unless=_Everything() if known is None else known or None,
                settle=Debounce.of(query["settle"], query["max_settle"]),
                stale=query["consistency"] == "stale",
                reach=access().reach,
            )
    except NotFound as error:
        headers = {"Retry-After": "1"} if query["wait"] else {}
        return errors.respond(error.code, error.detail, headers=headers)
    if known is None or context.etag in known:
        response = Response(status=304)
    else:
        response = Response(context.text, content_type="application/json")
    response.headers["ETag"] = f'"{context.etag}"'
    response.headers["Factstore-Cursor"] = str(context.cursor)
    response.headers["Cache-Control"] = "no-cache"
    return response


class _Everything(frozenset[str]):
    """Every tag: what ``If-None-Match: *`` names."""

    def __contains__(self, tag: object) -> bool:
        return True
