"""Views of alarms."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional, paging
from factstore.api.blocking_read import blocking_read
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import CONDITIONAL_READ, JSON_BODY, PAGED, WRITE
from factstore.api.responses import (
    deleted,
    etag_of,
    missing,
    page_response,
    set_etag,
    set_location,
    set_written,
    texts_response,
)
from factstore.api.schemas import alarms as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.alarms import alarm_summary_text, alarm_text
from factstore.api.services import charge_conditions, services
from factstore.core.errors import NotFound
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.condition import leaves
from factstore.core.model.precondition import ABSENT
from factstore.policies import alarms as rules

blueprint = Blueprint(
    "alarms", __name__, description="Conditions that become true and false again."
)


@blueprint.route("/v1/stacks/<stack>/alarms")
class AlarmList(MethodView):
    """All alarms of a stack."""

    @blueprint.query(schemas.AlarmsQuery)
    @blueprint.error_codes("not_found", *PAGED)
    @blueprint.response(200, schemas.AlarmPage)
    def get(self, query: dict[str, Any], stack: str) -> Response:
        """List alarms by name, without the present evaluation of their conditions."""
        scope = access().scope(rules.LIST, stack)
        page = services().alarms.list(
            scope, limit=query["limit"], marker=query["marker"], at=paging.cursor(query)
        )
        return page_response("alarms", page, alarm_summary_text)


@blueprint.route("/v1/stacks/<stack>/alarms/<alarm>")
class AlarmItem(MethodView):
    """One alarm."""

    @blueprint.query(schemas.AlarmQuery)
    @blueprint.request_headers("if_none_match_read")
    @blueprint.error_codes(*CONDITIONAL_READ)
    @blueprint.response(200, schemas.Alarm, headers=("ETag",))
    @blueprint.not_modified("ETag")
    def get(self, query: dict[str, Any], stack: str, alarm: str) -> Response:
        """Read an alarm; with wait, wait until its state changes or it differs."""
        scope = access().scope(rules.GET, stack)
        read = partial(services().alarms.get, scope, alarm)
        try:
            return blocking_read(
                scope, query, read, lambda found: (alarm_text(found),), until_decided=True
            )
        except NotFound as error:
            return missing(error, query["wait"])

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.AlarmBody)
    @blueprint.request_headers("if_none_match_write")
    @blueprint.error_codes(
        "path_invalid",
        "etag_invalid",
        "condition_invalid",
        "precondition_failed",
        "quota_exceeded",
        *JSON_BODY,
        *WRITE,
    )
    @blueprint.response(
        200, schemas.Alarm, headers=("ETag", "Factstore-Cursor", "Factstore-Unchanged")
    )
    @blueprint.alt_response(
        201,
        schema=schemas.Alarm,
        description="Created",
        headers=("ETag", "Factstore-Cursor"),
    )
    def put(self, query: dict[str, Any], body: dict[str, Any], stack: str, alarm: str) -> Response:
        """Create an alarm or change its definition; an equal definition changes nothing."""
        caller = access()
        scope = caller.scope(rules.PUT, stack)
        create_only = conditional.write_precondition() == ABSENT
        definition = AlarmDefinition.of(body)
        found, outcome, cursor = services().alarms.put(
            scope, alarm, definition, caller.author(), create_only=create_only
        )
        if outcome != "unchanged":
            charge_conditions(scope, sum(1 for _ in leaves(definition.condition)))
        texts = [alarm_text(found)]
        response = set_etag(texts_response(lambda: texts), etag_of(texts))
        if outcome == "created":
            set_location(response, "stacks", stack, "alarms", alarm)
        return set_written(response, cursor, unchanged=outcome == "unchanged")

    @blueprint.query(NoQuery)
    @blueprint.error_codes("path_invalid", "not_found", *WRITE)
    @blueprint.response(204, headers=("Factstore-Cursor",))
    def delete(self, query: dict[str, Any], stack: str, alarm: str) -> Response:
        """Delete an alarm, without an event."""
        caller = access()
        scope = caller.scope(rules.DELETE, stack)
        cursor = services().alarms.delete(scope, alarm, caller.author())
        return deleted(cursor)
