"""Views of stacks."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask.views import MethodView

from factstore.api import conditional, paging
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, PAGED, WRITE
from factstore.api.responses import (
    conditional_response,
    deleted,
    json_response,
    page_response,
    set_etag,
    set_location,
)
from factstore.api.schemas import stacks as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.stacks import stack_text
from factstore.api.services import services
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
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes("path_invalid", "etag_invalid", "not_found")
    @blueprint.response(200, schemas.Stack, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """Show a stack's settings and usage."""
        scope = access().scope(rules.GET, stack)
        known = conditional.known_tags()
        found = services().stacks.get(scope, stale=query["consistency"] == "stale")
        text = stack_text(found.stack, request.script_root, found.usage)
        return conditional_response(lambda: (text,), found.etag, known)

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.StackBody, required=False)
    @blueprint.request_headers("if_match", "if_none_match_write")
    @blueprint.error_codes(
        "path_invalid",
        "etag_invalid",
        "precondition_failed",
        "quota_exceeded",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(200, schemas.Stack, headers=("ETag",))
    @blueprint.alt_response(201, schema=schemas.Stack, description="Created", headers=("ETag",))
    def put(self, query: dict[str, Any], body: dict[str, Any], stack: str) -> Response:
        """Create a stack or replace its settings."""
        scope = access().scope(rules.PUT, stack)
        author, precondition = access().author(), conditional.record_precondition()
        written, created = services().stacks.put(
            scope, body["description"], author, precondition, body["keep_values"]
        )
        response = json_response(stack_text(written.stack, request.script_root, written.usage))
        set_etag(response, written.etag)
        if created:
            set_location(response, "stacks", stack)
        return response

    @blueprint.query(NoQuery)
    @blueprint.request_headers("if_match")
    @blueprint.error_codes(
        "path_invalid", "etag_invalid", "not_found", "precondition_failed", *WRITE
    )
    @blueprint.response(204)
    def delete(self, query: dict[str, Any], stack: str) -> Response:
        """Delete a stack and everything in it, and end its streams."""
        scope = access().scope(rules.DELETE, stack)
        precondition = conditional.record_precondition()
        services().stacks.delete(scope, access().author(), precondition)
        return deleted()
