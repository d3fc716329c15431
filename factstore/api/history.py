"""Views of the past: the history of a fact, and what differs between two cursors."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import PAGED
from factstore.api.raw_json import json_array, json_object
from factstore.api.responses import json_response, texts_response
from factstore.api.schemas import history as schemas
from factstore.api.serializers.history import differences_texts, past_change_text
from factstore.api.services import services
from factstore.core.model.cursor import Cursor
from factstore.policies import facts as rules

blueprint = Blueprint("history", __name__, description="The recent changes of facts and stacks.")


@blueprint.route("/v1/stacks/<stack>/history/<fact_path:path>")
class FactHistory(MethodView):
    """The recent changes of one fact."""

    @blueprint.query(schemas.HistoryQuery)
    @blueprint.error_codes("not_found", *PAGED)
    @blueprint.response(200, schemas.History)
    def get(self, query: dict[str, Any], stack: str, path: str) -> Response:
        """Show the recent changes of a fact, the newest first."""
        scope = access().scope(rules.HISTORY, stack)
        access().permissions.check_read(path)
        before = Cursor.parse(query["before"]) if query["before"] else None
        found = services().history.changes(
            scope, path, query["limit"], before, access().permissions
        )
        fields = {"path": path, "since": str(found.since), "more": found.more}
        texts = {"changes": json_array(past_change_text(each) for each in found.changes)}
        response = json_response(json_object(fields, texts))
        response.headers["Cache-Control"] = "no-cache"
        return response


@blueprint.route("/v1/stacks/<stack>/diff")
class Diff(MethodView):
    """The differences of a stack between two cursors."""

    @blueprint.query(schemas.DiffQuery)
    @blueprint.error_codes("not_found", *PAGED)
    @blueprint.response(200, schemas.Diff)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Show the facts and members that are not the same at two cursors."""
        scope = access().scope(rules.HISTORY, stack)
        since, until = (
            Cursor.parse(query[name]) if query[name] else None for name in ("since", "until")
        )
        found = services().past.differences(scope, since, until, access().permissions)
        response = texts_response(lambda: differences_texts(found))
        response.headers["Cache-Control"] = "no-cache"
        return response
