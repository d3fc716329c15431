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
from factstore.api.responses import texts_response
from factstore.api.schemas import batch as schemas
from factstore.api.schemas.base import NoQuery
from factstore.api.serializers.batch import batch_text
from factstore.api.services import services
from factstore.core.errors import Invalid
from factstore.core.model.fact import Delete, DeletePrefix, Put
from factstore.core.model.path import quoted
from factstore.core.model.precondition import ABSENT, EXISTS, Precondition
from factstore.policies import facts as rules

blueprint = Blueprint("batch", __name__, description="Guarded changes, all or nothing.")


@blueprint.route("/v1/stacks/<stack>/batch")
class Batch(MethodView):
    """Changes in one revision."""

    @blueprint.query(NoQuery)
    @blueprint.arguments(schemas.BatchBody)
    @blueprint.request_headers("idempotency_key", "generation")
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
        *JSON_BODY,
        *VALUE,
        *SENSITIVE,
        *BOUND,
        *FACT_WRITE,
    )
    @blueprint.response(200, schemas.BatchResponse, headers=("Factstore-Cursor",))
    def post(self, query: dict[str, Any], body: dict[str, Any], stack: str) -> Response:
        """Carry out up to 100 operations in one revision if all guards are true."""
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
        written = services().facts.batch(
            scope,
            operations,
            guards,
            caller.author(reads=sensitive),
            conditional.idempotency(caller.identity()),
            fences=conditional.fences(),
        )
        cursor = str(services().cursor(written.revision))
        epoch = services().epoch
        response = texts_response(lambda: [batch_text(written, epoch)])
        response.headers["Factstore-Cursor"] = cursor
        return response


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
