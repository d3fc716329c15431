"""Convergence."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import answers, conditional, schemas
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import sent
from factstore.api.serializers import convergence_text
from factstore.api.services import services, waiting
from factstore.core.services.convergence import Convergence
from factstore.policies import stacks as rules

blueprint = Blueprint("convergence", __name__, description="Who has applied what a stack is now.")


@blueprint.route("/v1/stacks/<stack>/convergence")
class ConvergenceItem(MethodView):
    """How the members of a stack stand to its target."""

    @blueprint.query(schemas.ConvergenceQuery)
    @blueprint.takes("if_none_match_read")
    @blueprint.refusals("path_invalid", "etag_invalid", "not_found", "too_many_waiting")
    @blueprint.response(200, answers.Convergence, headers=sent("ETag"))
    @blueprint.alt_response(304, description="Not changed, or not in time", headers=sent("ETag"))
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Show who lags; with wait, as soon as nobody does, or it differs from what is known."""
        scope = access().scope(rules.CONVERGENCE, stack)
        known = conditional.known_tags()

        def is_known(found: Convergence) -> bool:
            return known is None or _etag(convergence_text(found)) in known

        with waiting(scope, query["wait"]):
            found = services().convergence.get(
                scope,
                group=query["group"],
                wait=query["wait"],
                unless=None if known == frozenset() else is_known,
                stale=query["consistency"] == "stale",
            )
        text = convergence_text(found)
        if is_known(found):
            response = Response(status=304)
        else:
            response = Response(text, content_type="application/json")
        response.headers["ETag"] = f'"{_etag(text)}"'
        response.headers["Cache-Control"] = "no-cache"
        return response


def _etag(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
