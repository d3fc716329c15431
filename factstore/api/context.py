"""Views of the context."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import CONDITIONAL_READ
from factstore.api.responses import conditional_response, missing, texts_response
from factstore.api.schemas import context as schemas
from factstore.api.services import services, waiting
from factstore.core.errors import Invalid, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.services.context import Context
from factstore.core.services.context_view import View
from factstore.core.services.debounce import Debounce
from factstore.policies import stacks as rules

blueprint = Blueprint("context", __name__, description="A stack as one document.")

HEADERS = ("ETag", "Factstore-Cursor", "Factstore-Checksum")
ERROR_CODES = (*CONDITIONAL_READ, "cursor_invalid")


@blueprint.route("/v1/stacks/<stack>/context")
class ContextItem(MethodView):
    """All facts and members of a stack."""

    @blueprint.query(schemas.ContextQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*ERROR_CODES)
    @blueprint.response(200, schemas.CONTEXT_OR_DELTA, headers=HEADERS)
    @blueprint.not_modified(*HEADERS)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Read the context, or with since its changes; with wait, wait for a change."""
        return _read(query, stack)

    @blueprint.query(schemas.ContextQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*ERROR_CODES)
    @blueprint.response(200, headers=HEADERS)
    @blueprint.not_modified(*HEADERS)
    def head(self, query: dict[str, Any], stack: str) -> Response:
        """Read the headers of the context or its changes; with wait, wait for a change."""
        return _read(query, stack)


def _read(query: dict[str, Any], stack: str) -> Response:
    scope = access().scope(rules.CONTEXT, stack)
    known = conditional.known_tags()
    since = Cursor.parse(query["since"]) if query["since"] else None
    if since is not None and known != frozenset():
        raise Invalid(
            "If-None-Match cannot be combined with since. Leave one of them out.",
            code="header_invalid",
        )
    view = View(
        results=query["include"] == "results",
        member=query["member"],
        parts=schemas.VIEWS[query["view"]],
        permissions=access().permissions,
        read_set=query["read_set"],
    )
    wait, stale = query["wait"], query["consistency"] == "stale"
    settle = Debounce.of(query["settle"], query["max_settle"])
    contexts = services().context
    try:
        with waiting(scope, wait or query["settle"]):
            if since is not None:
                found = contexts.since(scope, since, view, wait=wait, settle=settle, stale=stale)
            else:
                unless = _EveryTag() if known is None else known or None
                found = contexts.get(
                    scope, view, wait=wait, unless=unless, settle=settle, stale=stale
                )
    except NotFound as error:
        return missing(error, wait)
    texts = found.texts
    if isinstance(found, Context):
        response = conditional_response(lambda: texts, found.etag, known)
    else:
        response = texts_response(lambda: texts)
        response.headers["Cache-Control"] = "no-store"
    response.headers["Factstore-Cursor"] = str(found.cursor)
    response.headers["Factstore-Checksum"] = found.checksum
    return response


class _EveryTag(frozenset[str]):
    """The set of all tags, which ``If-None-Match: *`` names."""

    def __contains__(self, tag: object) -> bool:
        return True
