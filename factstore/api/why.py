"""The view of why a member last ran."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.responses import json_response
from factstore.api.schemas import why as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.why import why_text
from factstore.api.services import services
from factstore.policies import members as rules

blueprint = Blueprint("why", __name__, description="The causes of what members do.")


@blueprint.route("/v1/stacks/<stack>/members/<member>/why")
class MemberWhy(MethodView):
    """The cause of a member's last run."""

    @blueprint.query(NoQuery)
    @blueprint.error_codes("path_invalid", "not_found", "cursor_expired")
    @blueprint.response(200, schemas.Why)
    def get(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """Show the change that woke a member last, and what that followed from."""
        caller = access()
        scope = caller.scope(rules.WHY, stack)
        response = json_response(why_text(services().why.get(scope, member, caller.permissions)))
        response.headers["Cache-Control"] = "no-cache"
        return response
