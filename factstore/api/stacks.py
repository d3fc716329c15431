"""Views of stacks."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask.views import MethodView

from factstore.api import paging
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, PAGED, WRITE
from factstore.api.responses import json_response, page_response, set_location
from factstore.api.schemas import stacks as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.stacks import stack_text
from factstore.api.services import services
from factstore.core.model.usage import Usage
from factstore.policies import stacks as rules

blueprint = Blueprint("stacks", __name__, description="Fact spaces and their settings.")


@blueprint.route("/v1/stacks")
class StackList(MethodView):
    """All stacks of a project."""

    @blueprint.query(schemas.StacksQuery)
    @blueprint.error_codes(*PAGED)
    @blueprint.response(200, schemas.StackPage)
    def get(self, query: dict[str, Any]) -> Response:
        """List the stacks of a project by name."""
        own = access().check(rules.LIST).project_id
        project_id = query["project_id"] or own
        if project_id != own:
            access().check(rules.LIST_ANY, project_id)
        page = services().stacks.list(
            project_id, limit=query["limit"], marker=query["marker"], at=paging.cursor(query)
        )
        root = request.script_root
        return page_response("stacks", page, lambda stack: stack_text(stack, root))


@blueprint.route("/v1/stacks/<stack>")
class StackItem(MethodView):
    """One stack."""

    @blueprint.query(schemas.StackQuery)
    @blueprint.error_codes("path_invalid", "not_found")
    @blueprint.response(200, schemas.Stack)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Show a stack's settings and usage."""
        scope = access().scope(rules.GET, stack)
        found, usage = services().stacks.get(scope, stale=query["consistency"] == "stale")
        return json_response(stack_text(found, request.script_root, usage))

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.StackBody, required=False)
    @blueprint.error_codes("path_invalid", "quota_exceeded", *JSON_BODY, *WRITE)
    @blueprint.response(200, schemas.Stack)
    @blueprint.alt_response(201, schema=schemas.Stack, description="Created")
    def put(self, query: dict[str, Any], body: dict[str, Any], stack: str) -> Response:
        """Create a stack or replace its settings."""
        scope = access().scope(rules.PUT, stack)
        author = access().author()
        record, created = services().stacks.put(scope, body["description"], author)
        usage = Usage(0, 0) if created else services().stacks.get(scope)[1]
        response = json_response(stack_text(record, request.script_root, usage))
        if created:
            set_location(response, "stacks", stack)
        return response

    @blueprint.query(NoQuery)
    @blueprint.error_codes("path_invalid", "not_found", *WRITE)
    @blueprint.response(204)
    def delete(self, query: dict[str, Any], stack: str) -> Response:
        """Delete a stack and everything in it, and end its streams."""
        scope = access().scope(rules.DELETE, stack)
        services().stacks.delete(scope, access().author())
        return Response(status=204)
