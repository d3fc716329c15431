"""Views of members."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional, paging
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import JSON_BODY, PAGED, VALUE, WRITE
from factstore.api.responses import (
    conditional_response,
    deleted,
    json_response,
    page_response,
    set_etag,
    set_location,
    set_written,
)
from factstore.api.schemas import members as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.members import (
    heartbeat_text,
    member_text,
    member_with_read_set_text,
)
from factstore.api.services import services
from factstore.core.model.cursor import Cursor
from factstore.core.model.member import JoinRequest
from factstore.core.operations.members import NEW_INCARNATION
from factstore.core.services.views import MemberView
from factstore.policies import members as rules

blueprint = Blueprint("members", __name__, description="The members of a stack.")


@blueprint.route("/v1/stacks/<stack>/members")
class MemberList(MethodView):
    """All members of a stack."""

    @blueprint.query(schemas.MembersQuery)
    @blueprint.error_codes("not_found", *PAGED)
    @blueprint.response(200, schemas.MemberPage)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List members by name, all pages at one revision."""
        scope = access().scope(rules.LIST, stack)
        access().permissions.check_read(query["reads"])
        page = services().members.list(
            scope,
            group=query["group"],
            declared=query["declared"],
            reads=query["reads"],
            limit=query["limit"],
            marker=query["marker"],
            at=paging.cursor(query),
        )
        return page_response("members", page, member_text)


@blueprint.route("/v1/stacks/<stack>/members/<member>")
class MemberItem(MethodView):
    """One member."""

    @blueprint.query(schemas.MemberQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes("path_invalid", "etag_invalid", "not_found")
    @blueprint.response(200, schemas.MemberWithReadSet, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """Show a member."""
        scope = access().scope(rules.GET, stack)
        known, stale = conditional.known_tags(), query["consistency"] == "stale"
        found = services().members.get_with_read_set(scope, member, stale=stale)
        text = member_with_read_set_text(found.member, found.read_set)
        return conditional_response(lambda: (text,), found.etag, known)

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.MemberBody)
    @blueprint.request_headers(
        "if_match", "if_none_match_write", "idempotency_key", "generation", "cause"
    )
    @blueprint.error_codes(
        "path_invalid",
        "etag_invalid",
        "not_found",
        "precondition_failed",
        "generation_stale",
        "idempotency_key_reused",
        "member_ttl_fixed",
        "member_declared",
        *JSON_BODY,
        *VALUE,
        *WRITE,
    )
    @blueprint.response(
        200,
        schemas.Member,
        headers=(
            "ETag",
            "Factstore-Cursor",
            "Factstore-Unchanged",
        ),
    )
    @blueprint.alt_response(
        201,
        schema=schemas.Member,
        description="Joined with a new generation, or declared",
        headers=("ETag", "Factstore-Cursor"),
    )
    def put(self, query: dict[str, Any], body: dict[str, Any], stack: str, member: str) -> Response:
        """Join; with the current generation, change group and attributes; or declare a member."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        caller.permissions.check_member(member, body["group"])
        caller.permissions.check_declaration(body["declared"], body["reason"])
        generation = conditional.generation(body["generation"])
        join_request = JoinRequest.of(
            body["group"],
            body["ttl"],
            body["attributes"],
            generation,
            body["declared"],
            body["reason"],
        )
        joined = services().members.join(
            scope,
            member,
            join_request,
            caller.author(),
            conditional.idempotency(caller.identity()),
            conditional.record_precondition(),
        )
        response = _response(joined.view)
        if joined.outcome in NEW_INCARNATION:
            set_location(response, "stacks", stack, "members", member)
        return set_written(response, joined.cursor, unchanged=joined.outcome == "unchanged")

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.MemberPatch)
    @blueprint.request_headers("if_match", "generation", "cause")
    @blueprint.error_codes(
        "path_invalid",
        "etag_invalid",
        "not_found",
        "precondition_failed",
        "generation_stale",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(200, schemas.Member, headers=("ETag",))
    def patch(
        self, query: dict[str, Any], body: dict[str, Any], stack: str, member: str
    ) -> Response:
        """Set a member's state to ready or draining."""
        caller = access()
        scope = caller.scope(rules.UPDATE, stack)
        caller.permissions.check_member(member)
        generation = conditional.generation(body["generation"])
        changed = services().members.set_state(
            scope,
            member,
            body["state"],
            generation,
            caller.author(),
            conditional.record_precondition(),
        )
        return _response(changed)

    @blueprint.query(schemas.DepartQuery)
    @blueprint.request_headers("if_match", "generation")
    @blueprint.error_codes(
        "path_invalid",
        "etag_invalid",
        "not_found",
        "precondition_failed",
        "generation_stale",
        "member_declared",
        *WRITE,
    )
    @blueprint.response(204, headers=("Factstore-Cursor",))
    def delete(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """Remove a member and the facts that are bound to it."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        caller.permissions.check_member(member)
        declared = query["declared"]
        caller.permissions.check_declaration(declared)
        generation = conditional.generation()
        # A member ends only its own incarnation; its owner removes it altogether.
        is_own = generation is not None or not caller.permissions.unrestricted
        cursor = services().members.depart(
            scope,
            member,
            query["reason"],
            generation,
            caller.author(),
            declared,
            keeps_declaration=declared is None and is_own,
            precondition=conditional.record_precondition(),
        )
        return deleted(cursor)


def _response(view: MemberView) -> Response:
    return set_etag(json_response(member_text(view.member)), view.etag)


@blueprint.route("/v1/stacks/<stack>/members/<member>/heartbeat")
class Heartbeat(MethodView):
    """A member's heartbeat."""

    @blueprint.query(NoQuery)
    @blueprint.error_codes("path_invalid", "not_found")
    @blueprint.response(200, schemas.Heartbeat)
    def get(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """Show the age of a member's last heartbeat."""
        scope = access().scope(rules.GET, stack)
        response = json_response(heartbeat_text(services().heartbeats.get(scope, member)))
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.HeartbeatBody, required=False)
    @blueprint.request_headers("generation")
    @blueprint.error_codes(
        "path_invalid",
        "cursor_invalid",
        "not_found",
        "generation_stale",
        "cursor_expired",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(204)
    def post(
        self, query: dict[str, Any], body: dict[str, Any], stack: str, member: str
    ) -> Response:
        """Restart a member's time to live, and report the cursor that it has applied."""
        scope = access().scope(rules.HEARTBEAT, stack)
        access().permissions.check_member(member)
        generation = conditional.generation(body["generation"])
        applied = None if body["applied"] is None else Cursor.parse(body["applied"])
        services().members.heartbeat(scope, member, generation, applied)
        return deleted()
