"""Grants: issuing them, showing them, letting them hold longer, ending them."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask.views import MethodView

from factstore.api import grant_schemas, paging, schemas
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, PAGED, WRITING, sent
from factstore.api.services import services
from factstore.core.model.grant import Grant, GrantRequest
from factstore.policies import grants as rules

blueprint = Blueprint("grants", __name__, description="Capabilities for instances.")


@blueprint.route("/v1/stacks/<stack>/grants")
class GrantList(MethodView):
    """All grants of a stack."""

    @blueprint.query(schemas.GrantsQuery)
    @blueprint.refusals("not_found", *PAGED)
    @blueprint.response(200, grant_schemas.GrantPage)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List grants by id, without their secrets."""
        scope = access().scope(rules.LIST, stack)
        page = services().grants.list(
            scope, limit=query["limit"], marker=query["marker"], at=paging.at(query)
        )
        return jsonify(
            grants=[_document(grant) for grant in page.grants],
            cursor=str(page.cursor),
            links=paging.links(page.cursor, page.marker),
        )

    @blueprint.query(schemas.NoQuery)
    @blueprint.arguments(grant_schemas.GrantBody)
    @blueprint.refusals("path_invalid", "ttl_invalid", "quota_exceeded", *JSON_BODY, *WRITING)
    @blueprint.response(201, grant_schemas.IssuedGrant, headers=sent("Factstore-Cursor"))
    def post(self, query: dict[str, Any], body: dict[str, Any], stack: str) -> Response:
        """Issue a grant, or with a group's one for a member; its secret is here and nowhere else."""
        caller = access()
        scope = caller.scope(rules.CREATE, stack)
        wish = GrantRequest.of(body["role"], body["member"], body["group"], body["ttl"])
        caller.reach.check_issue(wish.role, wish.member, wish.group)
        issued = services().grants.issue(scope, wish, caller.author())
        grant = issued.grant
        token = f"{grant.id}.{issued.secret}"
        response = jsonify({**_document(grant), "secret": issued.secret, "token": token})
        response.status_code = 201
        response.headers["Location"] = f"{request.root_url}v1/stacks/{stack}/grants/{grant.id}"
        response.headers["Factstore-Cursor"] = str(services().facts.cursor(issued.revision))
        response.headers["Cache-Control"] = "no-store"
        return response


@blueprint.route("/v1/stacks/<stack>/grants/<grant>")
class GrantItem(MethodView):
    """One grant."""

    @blueprint.query(schemas.GrantQuery)
    @blueprint.refusals("path_invalid", "not_found")
    @blueprint.response(200, grant_schemas.Grant)
    def get(self, query: dict[str, Any], stack: str, grant: str) -> Response:
        """Show a grant, without its secret."""
        scope = access().scope(rules.GET, stack)
        access().reach.check_grant(grant)
        stale = query["consistency"] == "stale"
        return jsonify(_document(services().grants.get(scope, grant, stale=stale)))

    @blueprint.query(schemas.NoQuery)
    @blueprint.refusals("path_invalid", "not_found", *WRITING)
    @blueprint.response(204, headers=sent("Factstore-Cursor"))
    def delete(self, query: dict[str, Any], stack: str, grant: str) -> Response:
        """Revoke a grant: from now on nobody holds it, nor any that was got with it."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        caller.reach.check_grant(grant, revokes=True)
        revision = services().grants.revoke(scope, grant, caller.author())
        cursor = services().facts.cursor(revision)
        return Response(status=204, headers={"Factstore-Cursor": str(cursor)})


@blueprint.route("/v1/stacks/<stack>/grants/<grant>/renew")
class GrantRenewal(MethodView):
    """Where a grant is renewed."""

    @blueprint.query(schemas.NoQuery)
    @blueprint.arguments(grant_schemas.RenewalBody, required=False)
    @blueprint.refusals("path_invalid", "ttl_invalid", "not_found", *JSON_BODY, *WRITING)
    @blueprint.response(200, grant_schemas.Grant)
    def post(self, query: dict[str, Any], body: dict[str, Any], stack: str, grant: str) -> Response:
        """Let a grant hold for its ttl, or for another one, from now on."""
        caller = access()
        scope = caller.scope(rules.RENEW, stack)
        caller.reach.check_grant(grant)
        return jsonify(
            _document(services().grants.renew(scope, grant, body["ttl"], caller.author()))
        )


def _document(grant: Grant) -> dict[str, object]:
    """A grant as it is shown."""
    return {
        "id": grant.id,
        "role": grant.role,
        "member": grant.member,
        "group": grant.group,
        "ttl": grant.ttl,
        "revision": grant.revision,
        "created_at": grant.created_at,
        "created_by": grant.created_by,
        "expires_at": grant.expires_at,
    }
