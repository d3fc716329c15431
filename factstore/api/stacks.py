"""Stacks."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask.views import MethodView

from factstore.api import answers, bodies, paging, schemas
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, PAGED, WRITING
from factstore.api.serializers import stack_document
from factstore.api.services import services
from factstore.core.model.usage import Usage
from factstore.policies import stacks as rules

blueprint = Blueprint("stacks", __name__, description="Fact spaces and their settings.")


@blueprint.route("/v1/stacks")
class StackList(MethodView):
    """All stacks of a project."""

    @blueprint.query(schemas.StacksQuery)
    @blueprint.refusals(*PAGED)
    @blueprint.response(200, answers.StackPage)
    def get(self, query: dict[str, Any]) -> Response:
        """List the stacks of a project by name."""
        own = access().check(rules.LIST).project_id
        project_id = query["project_id"] or own
        if project_id != own:
            access().check(rules.LIST_ANY, project_id)
        page = services().stacks.list(
            project_id, limit=query["limit"], marker=query["marker"], at=paging.at(query)
        )
        return jsonify(
            stacks=[stack_document(stack, request.script_root) for stack in page.stacks],
            cursor=str(page.cursor),
            links=paging.links(page.cursor, page.marker),
        )


@blueprint.route("/v1/stacks/<stack>")
class StackItem(MethodView):
    """One stack."""

    @blueprint.query(schemas.StackQuery)
    @blueprint.refusals("path_invalid", "not_found")
    @blueprint.response(200, answers.Stack)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Show a stack's settings and how much it holds."""
        scope = access().scope(rules.GET, stack)
        found, usage = services().stacks.get(scope, stale=query["consistency"] == "stale")
        return jsonify(stack_document(found, request.script_root, usage))

    @blueprint.query(schemas.NoQuery)
    @blueprint.arguments(bodies.StackBody, required=False)
    @blueprint.refusals("path_invalid", "quota_exceeded", *JSON_BODY, *WRITING)
    @blueprint.response(200, answers.Stack)
    @blueprint.alt_response(201, schema=answers.Stack, description="Created")
    def put(self, query: dict[str, Any], body: dict[str, Any], stack: str) -> Response:
        """Create a stack, or replace its settings."""
        scope = access().scope(rules.PUT, stack)
        author = access().author()
        record, created = services().stacks.put(scope, body["description"], author)
        usage = Usage(0, 0) if created else services().stacks.get(scope)[1]
        response = jsonify(stack_document(record, request.script_root, usage))
        if created:
            response.status_code = 201
            response.headers["Location"] = f"{request.root_url}v1/stacks/{stack}"
        return response

    @blueprint.query(schemas.NoQuery)
    @blueprint.refusals("path_invalid", "not_found", *WRITING)
    @blueprint.response(204)
    def delete(self, query: dict[str, Any], stack: str) -> Response:
        """Delete a stack and everything in it; its streams end."""
        scope = access().scope(rules.DELETE, stack)
        services().stacks.delete(scope, access().author())
        return Response(status=204)
