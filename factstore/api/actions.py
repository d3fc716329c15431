"""Views of actions."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional, paging
from factstore.api.blocking_read import blocking_read
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import CONDITIONAL_READ, JSON_BODY, WRITE
from factstore.api.responses import (
    conditional_response,
    deleted,
    etag_of,
    json_response,
    set_location,
    set_written,
    texts_response,
)
from factstore.api.schemas import actions as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.actions import (
    action_result_text,
    action_results_texts,
    action_text,
    actions_texts,
    member_actions_texts,
    own_action_text,
)
from factstore.api.services import services
from factstore.core.model.action import ActionRequest
from factstore.core.model.configuration_result import ConfigurationResult
from factstore.core.model.value import encode
from factstore.core.state.action_view import MemberRun
from factstore.policies import actions as rules

blueprint = Blueprint("actions", __name__, description="Hooks that members run once, now.")


@blueprint.route("/v1/stacks/<stack>/actions")
class ActionList(MethodView):
    """The actions of a stack."""

    @blueprint.query(schemas.ActionQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.ActionList, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List the actions of a stack; with wait, wait until the list changes."""
        scope = access().scope(rules.LIST, stack)
        return blocking_read(scope, query, partial(services().actions.list, scope), actions_texts)

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.ActionBody)
    @blueprint.request_headers("idempotency_key")
    @blueprint.error_codes(
        "path_invalid",
        "not_found",
        "member_missing",
        "value_too_large",
        "quota_exceeded",
        "idempotency_key_reused",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(201, schemas.Action, headers=("Location",))
    def post(self, query: dict[str, Any], body: dict[str, Any], stack: str) -> Response:
        """Run a hook once on a member, or on all members of a group that have joined."""
        caller = access()
        scope = caller.scope(rules.CREATE, stack)
        found = services().actions.create(
            scope,
            ActionRequest.of(body),
            caller.author(),
            conditional.idempotency(caller.identity()),
        )
        response = json_response(action_text(found))
        set_location(response, "stacks", stack, "actions", found.action.id)
        return response


@blueprint.route("/v1/stacks/<stack>/actions/<action>")
class ActionItem(MethodView):
    """One action."""

    @blueprint.query(schemas.ActionQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.Action, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, action: str) -> Response:
        """Show an action; with wait, wait until it has ended or it differs."""
        caller = access()
        scope = caller.scope(rules.GET, stack)
        if not caller.permissions.unrestricted:
            known, stale = conditional.known_tags(), query["consistency"] == "stale"
            run = services().actions.own_run(scope, action, caller.permissions, stale=stale)
            text = own_action_text(run)
            return conditional_response(lambda: (text,), etag_of((text,)), known)
        read = partial(services().actions.get, scope, action)
        return blocking_read(
            scope, query, read, lambda found: (action_text(found),), until_decided=True
        )

    @blueprint.query(NoQuery)
    @blueprint.error_codes("path_invalid", "not_found", *WRITE)
    @blueprint.response(204)
    def delete(self, query: dict[str, Any], stack: str, action: str) -> Response:
        """Delete an action with its results; members that run it end that."""
        caller = access()
        services().actions.delete(caller.scope(rules.DELETE, stack), action, caller.author())
        return deleted()


@blueprint.route("/v1/stacks/<stack>/actions/<action>/cancel")
class ActionCancellation(MethodView):
    """The cancellation of an action."""

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.CancelBody, required=False)
    @blueprint.error_codes("path_invalid", "not_found", "action_ended", *JSON_BODY, *WRITE)
    @blueprint.response(200, schemas.Action)
    def post(
        self, query: dict[str, Any], body: dict[str, Any], stack: str, action: str
    ) -> Response:
        """Cancel an action: no further member starts, and agents end what they run."""
        caller = access()
        scope = caller.scope(rules.CANCEL, stack)
        return json_response(action_text(services().actions.cancel(scope, action, caller.author())))


@blueprint.route("/v1/stacks/<stack>/actions/<action>/results")
class ActionResultList(MethodView):
    """The results of an action."""

    @blueprint.query(schemas.ActionResultsQuery)
    @blueprint.error_codes("path_invalid", "not_found")
    @blueprint.response(200, schemas.ActionResultPage)
    def get(self, query: dict[str, Any], stack: str, action: str) -> Response:
        """List the results of an action by member, with what the hooks printed."""
        caller = access()
        scope = caller.scope(rules.GET, stack)
        stale = query["consistency"] == "stale"
        runs: tuple[MemberRun, ...]
        if caller.permissions.unrestricted:
            limit, marker = query["limit"], query["marker"]
            runs, following = services().actions.runs(
                scope, action, limit=limit, marker=marker, stale=stale
            )
        else:
            run = services().actions.own_run(scope, action, caller.permissions, stale=stale)
            runs, following = (run,), None
        links = encode(paging.name_links(following))
        return texts_response(partial(action_results_texts, runs, links))


@blueprint.route("/v1/stacks/<stack>/actions/<action>/results/<member>")
class ActionResultItem(MethodView):
    """The result of one member."""

    @blueprint.query(schemas.ActionResultQuery)
    @blueprint.error_codes("path_invalid", "not_found")
    @blueprint.response(200, schemas.ActionResult)
    def get(self, query: dict[str, Any], stack: str, action: str, member: str) -> Response:
        """Show the result of a member, with what its hook printed."""
        caller = access()
        scope = caller.scope(rules.GET, stack)
        caller.permissions.check_run(member)
        stale = query["consistency"] == "stale"
        return json_response(
            action_result_text(services().actions.run(scope, action, member, stale=stale))
        )

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.ActionResultBody)
    @blueprint.request_headers("generation")
    @blueprint.error_codes(
        "path_invalid",
        "not_found",
        "generation_stale",
        "action_ended",
        "action_waiting",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(200, schemas.ActionResult, headers=("Factstore-Unchanged",))
    def put(
        self, query: dict[str, Any], body: dict[str, Any], stack: str, action: str, member: str
    ) -> Response:
        """Report the progress of a run, or its end; an equal report changes nothing."""
        caller = access()
        scope = caller.scope(rules.REPORT, stack)
        caller.permissions.check_member(member)
        found, changed = services().actions.report(
            scope,
            action,
            member,
            ConfigurationResult.of({"id": action, **body}),
            caller.author(),
            fences=conditional.fences(),
        )
        response = json_response(action_result_text(found))
        return set_written(response, unchanged=not changed)


@blueprint.route("/v1/stacks/<stack>/members/<member>/actions")
class MemberActions(MethodView):
    """The actions that a member is to run."""

    @blueprint.query(schemas.ActionQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.MemberActionList, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, member: str) -> Response:
        """List the actions of a member that have not ended; with wait, wait until the list changes."""
        caller = access()
        scope = caller.scope(rules.GET, stack)
        caller.permissions.check_run(member)
        read = partial(services().actions.of_member, scope, member)
        return blocking_read(scope, query, read, member_actions_texts)
