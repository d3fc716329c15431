"""Views of grants."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import paging
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, PAGED, WRITE
from factstore.api.responses import deleted, json_response, page_response, set_location, set_written
from factstore.api.schemas import grants as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.grants import grant_text, issued_grant_text
from factstore.api.services import services
from factstore.core.model.grant import GrantRequest
from factstore.policies import grants as rules

blueprint = Blueprint("grants", __name__, description="Revocable credentials for instances.")


@blueprint.route("/v1/stacks/<stack>/grants")
class GrantList(MethodView):
    """All grants of a stack."""

    @blueprint.query(schemas.GrantsQuery)
    @blueprint.error_codes("not_found", *PAGED)
    @blueprint.response(200, schemas.GrantPage)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List grants by id, without their secrets."""
        scope = access().scope(rules.LIST, stack)
        page = services().grants.list(
            scope, limit=query["limit"], marker=query["marker"], at=paging.cursor(query)
        )
        return page_response("grants", page, grant_text)

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.GrantBody)
    @blueprint.error_codes("path_invalid", "ttl_invalid", "quota_exceeded", *JSON_BODY, *WRITE)
    @blueprint.response(201, schemas.IssuedGrant, headers=("Factstore-Cursor",))
    def post(self, query: dict[str, Any], body: dict[str, Any], stack: str) -> Response:
        """Issue a grant, or a member's grant with a group's; only this response has its secret."""
        caller = access()
        scope = caller.scope(rules.CREATE, stack)
        grant_request = GrantRequest.of(body["role"], body["member"], body["group"], body["ttl"])
        caller.permissions.check_issue(
            grant_request.role, grant_request.member, grant_request.group
        )
        issued = services().grants.issue(scope, grant_request, caller.author())
        response = json_response(issued_grant_text(issued.grant, issued.secret))
        set_location(response, "stacks", stack, "grants", issued.grant.id)
        response.headers["Cache-Control"] = "no-store"
        return set_written(response, issued.cursor)


@blueprint.route("/v1/stacks/<stack>/grants/<grant_id:grant>")
class GrantItem(MethodView):
    """One grant."""

    @blueprint.query(schemas.GrantQuery)
    @blueprint.error_codes("path_invalid", "not_found")
    @blueprint.response(200, schemas.Grant)
    def get(self, query: dict[str, Any], stack: str, grant: str) -> Response:
        """Show a grant, without its secret."""
        scope = access().scope(rules.GET, stack)
        access().permissions.check_grant(grant)
        stale = query["consistency"] == "stale"
        return json_response(grant_text(services().grants.get(scope, grant, stale=stale)))

    @blueprint.query(NoQuery)
    @blueprint.error_codes("path_invalid", "not_found", *WRITE)
    @blueprint.response(204, headers=("Factstore-Cursor",))
    def delete(self, query: dict[str, Any], stack: str, grant: str) -> Response:
        """Revoke a grant and all grants that were issued with it."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        caller.permissions.check_grant(grant, revokes=True)
        cursor = services().grants.revoke(scope, grant, caller.author())
        return deleted(cursor)


@blueprint.route("/v1/stacks/<stack>/grants/<grant_id:grant>/renew")
class GrantRenewal(MethodView):
    """The renewal of a grant."""

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.RenewalBody, required=False)
    @blueprint.error_codes("path_invalid", "ttl_invalid", "not_found", *JSON_BODY, *WRITE)
    @blueprint.response(200, schemas.Grant)
    def post(self, query: dict[str, Any], body: dict[str, Any], stack: str, grant: str) -> Response:
        """Renew a grant for its ttl, or for another one."""
        caller = access()
        scope = caller.scope(rules.RENEW, stack)
        caller.permissions.check_grant(grant)
        renewed = services().grants.renew(scope, grant, body["ttl"], caller.author())
        return json_response(grant_text(renewed))
