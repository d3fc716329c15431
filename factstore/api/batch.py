"""Views of batches: many changes in one revision."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import conditional
from factstore.api.blueprint import Blueprint
from factstore.api.identity import Access, access
from factstore.api.openapi import (
    BOUND,
    FACT_WRITE,
    JSON_BODY,
    SENSITIVE,
    VALUE,
)
from factstore.api.responses import set_written, texts_response
from factstore.api.schemas import batch as schemas
from factstore.api.serializers.batch import PreviewPart, batch_text, preview_texts
from factstore.api.services import services
from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Delete, DeletePrefix, Put
from factstore.core.model.path import quoted
from factstore.core.model.precondition import ABSENT, EXISTS, Precondition
from factstore.core.operations.batch_plans import Preview
from factstore.policies import alarms as alarm_rules
from factstore.policies import facts as rules
from factstore.policies import limits as limit_rules
from factstore.policies import members as member_rules
from factstore.policies import waiters as waiter_rules

_RULES: dict[PreviewPart, str] = {
    "wakes": member_rules.LIST,
    "waiters": waiter_rules.LIST,
    "alarms": alarm_rules.LIST,
    "quota": limit_rules.GET,
}
"""The rules that allow to read what a dry run shows in addition to the batch's results."""

blueprint = Blueprint("batch", __name__, description="Guarded changes, all or nothing.")


@blueprint.route("/v1/stacks/<stack>/batch")
class Batch(MethodView):
    """Changes in one revision."""

    @blueprint.query(schemas.BatchQuery)
    @blueprint.arguments(schemas.BatchBody)
    @blueprint.request_headers("idempotency_key", "generation", "if_plan", "cause")
    @blueprint.error_codes(
        "path_invalid",
        "etag_invalid",
        "batch_empty",
        "batch_duplicate_path",
        "batch_too_large",
        "not_found",
        "path_is_folder",
        "path_below_fact",
        "precondition_failed",
        "plan_invalid",
        "plan_mismatch",
        "plan_outdated",
        *JSON_BODY,
        *VALUE,
        *SENSITIVE,
        *BOUND,
        *FACT_WRITE,
    )
    @blueprint.response(200, schemas.BATCH_OR_PREVIEW, headers=("Factstore-Cursor",))
    def post(self, query: dict[str, Any], body: dict[str, Any], stack: str) -> Response:
        """Carry out up to 100 operations in one revision if all guards are true, or preview them."""
        caller = access()
        scope = caller.scope(rules.BATCH, stack)
        operations = [_operation(operation, caller) for operation in body["operations"]]
        guards = [_guard(guard) for guard in body["guards"]]
        sensitive = False
        for operation in operations:
            if not isinstance(operation, DeletePrefix):
                caller.permissions.check_write(operation.path)
            if isinstance(operation, Put):
                sensitive = sensitive or operation.sensitive
                if operation.member is not None:
                    caller.permissions.check_member(operation.member)
        for path, _ in guards:
            caller.permissions.check_read(path)
        request = (scope, operations, guards, caller.author(reads=sensitive))
        fences = conditional.fences()
        if query["dry_run"]:
            conditional.check_guards({conditional.GENERATION})
            return _preview_response(*services().batch_plans.preview(*request, fences=fences))
        key, plan = conditional.idempotency(caller.identity()), conditional.plan()
        if plan is None:
            written = services().facts.batch(*request, key, fences=fences)
        else:
            written = services().batch_plans.apply(plan, *request, key, fences=fences)
        response = texts_response(lambda: [batch_text(written)])
        return set_written(response, written.cursor)


def _preview_response(preview: Preview, cursor: Cursor) -> Response:
    caller = access()
    shown = {part for part, rule in _RULES.items() if caller.allows(rule)}
    quota = services().quotas(caller.identity().project_id)
    response = texts_response(lambda: preview_texts(preview, cursor, quota, shown))
    response.headers["Cache-Control"] = "no-store"
    return set_written(response, cursor)


def _operation(operation: dict[str, Any], caller: Access) -> Put | Delete | DeletePrefix:
    if "delete" in operation:
        if "prefix" in operation["delete"]:
            prefix = operation["delete"]["prefix"]
            return DeletePrefix(prefix, caller.permissions.check_write_below(prefix))
        return Delete(operation["delete"]["path"])
    put = operation["put"]
    return Put.of(
        put["path"],
        put["value"],
        put["kind"],
        put["ttl"],
        member=put["member"],
        generation=put["generation"],
        sensitive=put["sensitive"],
        readers=put["readers"],
    )


def _guard(guard: dict[str, Any]) -> tuple[str, Precondition]:
    if "etag" in guard:
        if '"' in guard["etag"]:
            raise Invalid(
                f"Guard of {quoted(guard['path'])}: the etag has quotes or is weak; send the text "
                "between the quotes.",
                code="etag_invalid",
            )
        return guard["path"], Precondition(tags=frozenset([guard["etag"]]))
    return guard["path"], EXISTS if "exists" in guard else ABSENT
