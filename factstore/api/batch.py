"""Many changes in one revision."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView

from factstore.api import answers, bodies, conditional, schemas
from factstore.api.blueprint import Blueprint
from factstore.api.identity import access
from factstore.api.openapi import BOUND, FACT_WRITING, JSON_BODY, SEALED, VALUE, sent
from factstore.api.serializers import fact_text
from factstore.api.services import services
from factstore.core.model.fact import Delete, Put
from factstore.core.model.precondition import ABSENT, EXISTS, Precondition
from factstore.core.model.value import encode
from factstore.policies import facts as rules

blueprint = Blueprint("batch", __name__, description="Guarded changes, all or nothing.")


@blueprint.route("/v1/stacks/<stack>/batch")
class Batch(MethodView):
    """Changes that happen together."""

    @blueprint.query(schemas.NoQuery)
    @blueprint.arguments(bodies.BatchBody)
    @blueprint.takes("idempotency_key", "generation")
    @blueprint.refusals(
        "path_invalid",
        "batch_empty",
        "batch_duplicate_path",
        "batch_too_large",
        "not_found",
        "path_is_folder",
        "path_below_fact",
        "precondition_failed",
        *JSON_BODY,
        *VALUE,
        *SEALED,
        *BOUND,
        *FACT_WRITING,
    )
    @blueprint.response(200, answers.BatchAnswer, headers=sent("Factstore-Cursor"))
    def post(self, query: dict[str, Any], body: dict[str, Any], stack: str) -> Response:
        """Carry out up to 100 operations in one revision, if all guards hold."""
        caller = access()
        scope = caller.scope(rules.BATCH, stack)
        wishes = [_wish(operation) for operation in body["operations"]]
        guards = [_guard(guard) for guard in body["guards"]]
        for wish in wishes:
            caller.reach.check_write(wish.path)
            if isinstance(wish, Put) and wish.member is not None:
                caller.reach.check_member(wish.member)
        for path, _ in guards:
            caller.reach.check_read(path)
        written = services().facts.batch(
            scope,
            wishes,
            guards,
            caller.author(reads=any(isinstance(each, Put) and each.sensitive for each in wishes)),
            conditional.idempotency(caller.identity()),
            fences=conditional.fences(),
        )
        cursor = services().facts.cursor(written.revision)
        results = ",".join(
            f'{{"path":{encode(result.path)},"outcome":"{result.outcome}",'
            f'"fact":{fact_text(result.fact, cursor.epoch) if result.fact else "null"}}}'
            for result in written.results
        )
        text = f'{{"results":[{results}],"cursor":"{cursor}"}}'
        response = Response(text, content_type="application/json")
        response.headers["Factstore-Cursor"] = str(cursor)
        return response


def _wish(operation: dict[str, Any]) -> Put | Delete:
    if "delete" in operation:
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
        return guard["path"], Precondition(tags=frozenset([guard["etag"]]))
    return guard["path"], EXISTS if "exists" in guard else ABSENT
