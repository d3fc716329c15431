"""Views of turns."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional
from factstore.api.blocking_read import blocking_read
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import CONDITIONAL_READ, JSON_BODY, WRITE
from factstore.api.responses import deleted, json_response, set_location
from factstore.api.schemas import turns as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.turns import turn_text, turns_texts
from factstore.api.services import services, waiting
from factstore.core.model.fact import Scope
from factstore.core.model.turn import TurnRequest
from factstore.policies import turns as rules

blueprint = Blueprint("turns", __name__, description="Places of members in a stack's queues.")


def _list(scope: Scope, queue: str, query: dict[str, Any]) -> Response:
    return blocking_read(scope, query, partial(services().turns.list, scope, queue), turns_texts)


@blueprint.route("/v1/stacks/<stack>/turns")
class TurnList(MethodView):
    """All turns of a stack."""

    @blueprint.query(schemas.TurnQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.TurnList, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List the turns of all queues; with wait, wait until the list changes."""
        return _list(access().scope(rules.LIST, stack), "", query)


@blueprint.route("/v1/stacks/<stack>/turns/<queue>")
class TurnQueue(MethodView):
    """The turns of one queue."""

    @blueprint.query(schemas.TurnQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.TurnList, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, queue: str) -> Response:
        """List the turns of a queue in order; with wait, wait until the list changes."""
        return _list(access().scope(rules.LIST, stack), queue, query)


@blueprint.route("/v1/stacks/<stack>/turns/<queue>/<member>")
class TurnItem(MethodView):
    """The turn of a member in a queue."""

    @blueprint.query(schemas.TurnQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.Turn, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, queue: str, member: str) -> Response:
        """Show a turn; with wait, wait until it changes."""
        scope = access().scope(rules.GET, stack)
        read = partial(services().turns.get, scope, queue, member)
        return blocking_read(scope, query, read, lambda found: (turn_text(found),))

    @blueprint.query(schemas.TakeQuery)
    @blueprint.arguments(schemas.TurnBody, required=False)
    @blueprint.request_headers("generation")
    @blueprint.error_codes(
        "path_invalid",
        "not_found",
        "generation_stale",
        "member_missing",
        "rank_missing",
        "quota_exceeded",
        "too_many_waiting",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(200, schemas.Turn)
    @blueprint.alt_response(201, schema=schemas.Turn, description="Taken, or waiting for its turn")
    def put(
        self, query: dict[str, Any], body: dict[str, Any], stack: str, queue: str, member: str
    ) -> Response:
        """Take a turn at the end of a queue; with wait, wait until it is held."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        caller.permissions.check_member(member)
        generation = conditional.generation(body["generation"])
        turn_request = TurnRequest.of(generation, body["max_parallel"], rank=body["rank"])
        with waiting(scope.project_id, query["wait"]):
            taken = services().turns.take(
                scope, queue, member, turn_request, caller.author(), wait=query["wait"]
            )
        response = json_response(turn_text(taken.queued))
        if taken.created:
            set_location(response, "stacks", stack, "turns", queue, member)
        return response

    @blueprint.query(NoQuery)
    @blueprint.request_headers("generation")
    @blueprint.error_codes("path_invalid", "not_found", "generation_stale", *WRITE)
    @blueprint.response(204)
    def delete(self, query: dict[str, Any], stack: str, queue: str, member: str) -> Response:
        """Give a turn back, with its rank."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        caller.permissions.check_member(member)
        generation = conditional.generation()
        services().turns.give_back(scope, queue, member, generation, caller.author())
        return deleted()
