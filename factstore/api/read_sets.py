"""Views of the read sets of members."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, WRITE
from factstore.api.responses import deleted, json_response, set_location, set_written
from factstore.api.schemas import read_sets as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.read_sets import read_set_text
from factstore.api.services import services
from factstore.core.model.read_set import ReadSet
from factstore.policies import read_sets as rules

blueprint = Blueprint(
    "read_sets", __name__, description="The facts and members that concern a member."
)


@blueprint.route("/v1/stacks/<stack>/members/<member>/read_set")
class ReadSetItem(MethodView):
    """The read set of a member."""

    @blueprint.query(schemas.ReadSetQuery)
    @blueprint.error_codes("path_invalid", "not_found")
    @blueprint.response(200, schemas.ReadSet)
    def get(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """Show the read set of a member."""
        scope = access().scope(rules.GET, stack)
        found = services().read_sets.get(scope, member, stale=query["consistency"] == "stale")
        permissions = access().permissions
        for pattern in found.facts if member != permissions.member else ():
            permissions.check_read(pattern)
        return json_response(read_set_text(found))

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.ReadSetBody)
    @blueprint.request_headers("generation")
    @blueprint.error_codes(
        "path_invalid",
        "not_found",
        "generation_stale",
        "value_too_large",
        "quota_exceeded",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(200, schemas.ReadSet, headers=("Factstore-Unchanged",))
    @blueprint.alt_response(201, schema=schemas.ReadSet, description="Created")
    def put(self, query: dict[str, Any], body: dict[str, Any], stack: str, member: str) -> Response:
        """Create or replace the read set of a member's current generation."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        caller.permissions.check_member(member)
        read_set = ReadSet.of(member, body["facts"], body["members"], body["groups"])
        stored = services().read_sets.put(
            scope, read_set, conditional.generation(body["generation"]), caller.author()
        )
        response = json_response(read_set_text(stored.read_set))
        if stored.created:
            set_location(response, "stacks", stack, "members", member, "read_set")
        return set_written(response, unchanged=stored.unchanged)

    @blueprint.query(NoQuery)
    @blueprint.request_headers("generation")
    @blueprint.error_codes("path_invalid", "not_found", "generation_stale", *WRITE)
    @blueprint.response(204)
    def delete(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """Delete the read set of a member, so that every change concerns the member."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        caller.permissions.check_member(member)
        services().read_sets.delete(scope, member, conditional.generation(), caller.author())
        return deleted()
