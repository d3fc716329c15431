"""Members: joining, telling how one is, staying alive, departing."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask.views import MethodView

from factstore.api import answers, bodies, conditional, paging, schemas
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, PAGED, VALUE, WRITING, sent
from factstore.api.serializers import member_text
from factstore.api.services import services
from factstore.core.model.cursor import Cursor
from factstore.core.model.member import JoinRequest, Member
from factstore.core.model.value import encode
from factstore.core.operations.members import NEW_INCARNATION
from factstore.policies import members as rules

blueprint = Blueprint("members", __name__, description="Who takes part in a stack.")


@blueprint.route("/v1/stacks/<stack>/members")
class MemberList(MethodView):
    """All members of a stack."""

    @blueprint.query(schemas.MembersQuery)
    @blueprint.refusals("not_found", *PAGED)
    @blueprint.response(200, answers.MemberPage)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List members by name, all pages at one revision."""
        scope = access().scope(rules.LIST, stack)
        page = services().members.list(
            scope,
            group=query["group"],
            declared=query["declared"],
            limit=query["limit"],
            marker=query["marker"],
            at=paging.at(query),
        )
        members = ",".join(member_text(member) for member in page.members)
        links = encode(paging.links(page.cursor, page.marker))
        text = f'{{"members":[{members}],"cursor":"{page.cursor}","links":{links}}}'
        return Response(text, content_type="application/json")


@blueprint.route("/v1/stacks/<stack>/members/<member>")
class MemberItem(MethodView):
    """One member."""

    @blueprint.query(schemas.MemberQuery)
    @blueprint.refusals("path_invalid", "not_found")
    @blueprint.response(200, answers.Member)
    def get(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """Show a member."""
        scope = access().scope(rules.GET, stack)
        stale = query["consistency"] == "stale"
        return _shown(services().members.get(scope, member, stale_read=stale))

    @blueprint.query(schemas.NoQuery)
    @blueprint.arguments(bodies.MemberBody)
    @blueprint.takes("generation")
    @blueprint.refusals(
        "path_invalid",
        "not_found",
        "generation_stale",
        "member_ttl_fixed",
        "member_declared",
        *JSON_BODY,
        *VALUE,
        *WRITING,
    )
    @blueprint.response(
        200, answers.Member, headers=sent("Factstore-Cursor", "Factstore-Unchanged")
    )
    @blueprint.alt_response(
        201,
        schema=answers.Member,
        description="Joined, as a new incarnation; or declared",
        headers=sent("Factstore-Cursor"),
    )
    def put(self, query: dict[str, Any], body: dict[str, Any], stack: str, member: str) -> Response:
        """Join; with the present generation, change group and attributes; or declare a member."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        caller.reach.check_member(member, body["group"])
        caller.reach.check_declaration(body["declared"], body["reason"])
        generation = conditional.generation(body["generation"])
        wish = JoinRequest.of(
            body["group"],
            body["ttl"],
            body["attributes"],
            generation,
            body["declared"],
            body["reason"],
        )
        joined = services().members.join(scope, member, wish, caller.author())
        response = _shown(joined.member)
        if joined.outcome in NEW_INCARNATION:
            response.status_code = 201
            response.headers["Location"] = f"{request.root_url}v1/stacks/{stack}/members/{member}"
        elif joined.outcome == "unchanged":
            response.headers["Factstore-Unchanged"] = "true"
        response.headers["Factstore-Cursor"] = _cursor(joined.revision)
        return response

    @blueprint.query(schemas.NoQuery)
    @blueprint.arguments(bodies.MemberPatch)
    @blueprint.takes("generation")
    @blueprint.refusals("path_invalid", "not_found", "generation_stale", *JSON_BODY, *WRITING)
    @blueprint.response(200, answers.Member)
    def patch(
        self, query: dict[str, Any], body: dict[str, Any], stack: str, member: str
    ) -> Response:
        """Say that a member is ready, or draining."""
        caller = access()
        scope = caller.scope(rules.UPDATE, stack)
        caller.reach.check_member(member)
        generation = conditional.generation(body["generation"])
        author = caller.author()
        return _shown(
            services().members.set_state(scope, member, body["state"], generation, author)
        )

    @blueprint.query(schemas.DepartQuery)
    @blueprint.takes("generation")
    @blueprint.refusals(
        "path_invalid", "not_found", "generation_stale", "member_declared", *WRITING
    )
    @blueprint.response(204, headers=sent("Factstore-Cursor"))
    def delete(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """Depart; the facts that go with the member go."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        caller.reach.check_member(member)
        declared = query["declared"]
        caller.reach.check_declaration(declared)
        generation = conditional.generation()
        revision = services().members.depart(
            scope, member, query["reason"], generation, caller.author(), declared
        )
        return Response(status=204, headers={"Factstore-Cursor": _cursor(revision)})


@blueprint.route("/v1/stacks/<stack>/members/<member>/heartbeat")
class Heartbeat(MethodView):
    """A member's sign of life."""

    @blueprint.query(schemas.NoQuery)
    @blueprint.arguments(bodies.HeartbeatBody, required=False)
    @blueprint.takes("generation")
    @blueprint.refusals(
        "path_invalid",
        "cursor_invalid",
        "not_found",
        "generation_stale",
        "cursor_expired",
        *JSON_BODY,
        *WRITING,
    )
    @blueprint.response(204)
    def post(
        self, query: dict[str, Any], body: dict[str, Any], stack: str, member: str
    ) -> Response:
        """Start a member's time anew, and tell what it has applied."""
        scope = access().scope(rules.HEARTBEAT, stack)
        access().reach.check_member(member)
        generation = conditional.generation(body["generation"])
        applied = None if body["applied"] is None else Cursor.parse(body["applied"])
        services().members.heartbeat(scope, member, generation, applied)
        return Response(status=204)


def _shown(member: Member) -> Response:
    return Response(member_text(member), content_type="application/json")


def _cursor(revision: int) -> str:
    return str(services().facts.cursor(revision))
