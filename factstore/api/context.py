"""Views of the context."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import CONDITIONAL_READ
from factstore.api.responses import conditional_response, missing
from factstore.api.schemas import context as schemas
from factstore.api.services import services, waiting
from factstore.core.errors import NotFound
from factstore.core.services.debounce import Debounce
from factstore.policies import stacks as rules

blueprint = Blueprint("context", __name__, description="A stack as one document.")

HEADERS = ("ETag", "Factstore-Cursor")


@blueprint.route("/v1/stacks/<stack>/context")
class ContextItem(MethodView):
    """All facts and members of a stack."""

    @blueprint.query(schemas.ContextQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.Context, headers=HEADERS)
    @blueprint.not_modified(*HEADERS)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Read the context; with wait, wait until it differs from the known one."""
        return _read(query, stack)

    @blueprint.query(schemas.ContextQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, headers=HEADERS)
    @blueprint.not_modified(*HEADERS)
    def head(self, query: dict[str, Any], stack: str) -> Response:
        """Read the headers of the context; with wait, wait until it differs from the known one."""
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
                unless=_EveryTag() if known is None else known or None,
                settle=Debounce.of(query["settle"], query["max_settle"]),
                stale=query["consistency"] == "stale",
                permissions=access().permissions,
            )
    except NotFound as error:
        return missing(error, query["wait"])
    response = conditional_response(context.text, context.etag, known)
    response.headers["Factstore-Cursor"] = str(context.cursor)
    return response


class _EveryTag(frozenset[str]):
    """The set of all tags, which ``If-None-Match: *`` names."""

    def __contains__(self, tag: object) -> bool:
        return True
