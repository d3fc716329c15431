"""Views of convergence."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api.blocking_read import blocking_read
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import CONDITIONAL_READ
from factstore.api.schemas import convergence as schemas
from factstore.api.serializers.members import convergence_texts
from factstore.api.services import services
from factstore.policies import stacks as rules

blueprint = Blueprint(
    "convergence", __name__, description="Whether members have applied a stack's current state."
)


@blueprint.route("/v1/stacks/<stack>/convergence")
class ConvergenceItem(MethodView):
    """The cursors that members have applied, compared with the stack's."""

    @blueprint.query(schemas.ConvergenceQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.Convergence, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Show which members lag; with wait, wait until none lags or the list changes."""
        scope = access().scope(rules.CONVERGENCE, stack)
        read = partial(
            services().convergence.get,
            scope,
            group=query["group"],
            include_draining=query["include_draining"],
        )
        return blocking_read(scope, query, read, convergence_texts, until_decided=True)
