"""Views of waits."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.responses import texts_response
from factstore.api.schemas import waits as schemas
from factstore.api.serializers.waits import waits_texts
from factstore.api.services import services
from factstore.policies import waits as rules

blueprint = Blueprint("waits", __name__, description="The waits of members and others in a stack.")


@blueprint.route("/v1/stacks/<stack>/waits")
class Waits(MethodView):
    """The waits in a stack."""

    @blueprint.query(schemas.WaitsQuery)
    @blueprint.error_codes("path_invalid", "not_found")
    @blueprint.response(200, schemas.Waits)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Show who waits for whom, for what, and which of these waits cannot end."""
        caller = access()
        found = services().waits.get(
            caller.scope(rules.GET, stack),
            caller.permissions,
            stale=query["consistency"] == "stale",
        )
        return texts_response(partial(waits_texts, found))
