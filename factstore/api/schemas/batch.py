"""Shapes of batches."""

from __future__ import annotations

from typing import Any, ClassVar

import marshmallow as ma
from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.facts import Fact, FactBody
from factstore.api.schemas.field_types import (
    OneOf,
    boolean_parameter,
    cursor_field,
    description,
    revision_field,
    timestamp_field,
)
from factstore.core.model.alarm import ALARM_STATES
from factstore.core.model.batch_plan import PLAN_PATTERN
from factstore.core.model.fact import KINDS
from factstore.core.model.fact_result import FACT_OUTCOMES
from factstore.core.model.path import PATH_LENGTH, PATH_PATTERN
from factstore.core.model.waiter import WAITER_STATES
from factstore.core.operations.batches import BATCH_OPERATIONS
from factstore.core.state.standing_alarms import STEPS


def _path(*, required: bool = True) -> fields.String:
    metadata = {"pattern": f"^{PATH_PATTERN}$", "maxLength": PATH_LENGTH}
    return fields.String(required=required, metadata=metadata)


# Queries


class BatchQuery(Schema):
    """Carrying out a batch, or finding out what it would do."""

    dry_run = boolean_parameter("Write nothing, and return what the batch would do.")


# Bodies


class BatchPut(FactBody):
    """A fact to store at a path."""

    path = _path()


class BatchDelete(Schema):
    """A fact to delete, or a prefix: all facts at and below it that no other operation names."""

    path = _path(required=False)
    prefix = _path(required=False)

    @ma.validates_schema
    def _exactly_one(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ma.ValidationError("A delete has either a path or a prefix.")


class BatchOperation(Schema):
    """Either a put or a delete."""

    put = fields.Nested(BatchPut)
    delete = fields.Nested(BatchDelete, metadata={"minProperties": 1, "maxProperties": 1})

    @ma.validates_schema
    def _exactly_one(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ma.ValidationError("An operation is either a put or a delete.")


class BatchGuard(Schema):
    """A condition on a path: that the fact has an etag, that it exists, or that it is absent."""

    path = _path()
    etag = fields.String(metadata={"pattern": '^[^"]*$'})
    exists = fields.Boolean(truthy={True}, falsy=set(), metadata={"enum": [True]})
    absent = fields.Boolean(truthy={True}, falsy=set(), metadata={"enum": [True]})

    @ma.validates_schema
    def _exactly_one(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 2:
            raise ma.ValidationError(
                "A guard has a path and one of etag, exists: true, absent: true."
            )


class BatchBody(Schema):
    """Operations of which either all or none are carried out."""

    example: ClassVar[dict[str, Any]] = {
        "operations": [{"put": {"path": "nodes/c1/ip", "value": "10.0.0.6"}}]
    }

    guards = fields.List(
        fields.Nested(BatchGuard, metadata={"minProperties": 2, "maxProperties": 2}),
        load_default=list,
        metadata={"maxItems": BATCH_OPERATIONS - 1},
    )
    operations = fields.List(
        fields.Nested(BatchOperation, metadata={"minProperties": 1, "maxProperties": 1}),
        required=True,
        **description(
            f"At most {BATCH_OPERATIONS}, including guards and the facts that prefixes stand for.",
            minItems=1,
            maxItems=BATCH_OPERATIONS,
            example=[{"put": {"path": "nodes/c1/ip", "value": "10.0.0.11"}}],
        ),
    )


# Responses


class BatchResult(Schema):
    """The outcome of one operation."""

    path = fields.String(required=True)
    outcome = fields.String(
        required=True,
        validate=OneOf(FACT_OUTCOMES),
    )
    fact = fields.Nested(Fact, required=True, allow_none=True)
    deleted = fields.Integer(
        **description("The number of deleted facts; only in the result of a prefix."),
    )


class BatchResponse(Schema):
    """The outcome of a batch."""

    results = fields.List(fields.Nested(BatchResult), required=True)
    cursor = cursor_field()


class FormerFact(Schema):
    """The version of a fact that an operation would replace, leave or delete."""

    etag = cursor_field()
    revision = revision_field()
    version = revision_field()
    updated_at = timestamp_field()
    updated_by = fields.String(required=True)


class PlannedFact(Schema):
    """A fact after the batch; what only the write itself decides is missing."""

    path = fields.String(required=True)
    value = fields.Raw(
        required=True, allow_none=True, **description("Null if the fact is sensitive.")
    )
    kind = fields.String(required=True, validate=OneOf(KINDS))
    version = revision_field()
    ttl = fields.Integer(required=True, allow_none=True)
    member = fields.String(required=True, allow_none=True)
    sensitive = fields.Boolean(required=True)
    readers = fields.List(fields.String(), required=True)


class PlannedResult(Schema):
    """The outcome that one operation would have."""

    path = fields.String(required=True)
    outcome = fields.String(required=True, validate=OneOf(FACT_OUTCOMES))
    fact = fields.Nested(PlannedFact, required=True, allow_none=True)
    former = fields.Nested(FormerFact, required=True, allow_none=True)
    deleted = fields.Integer(
        **description("The number of facts to delete; only in the result of a prefix."),
    )


class WokenMembers(Schema):
    """The members that the batch would wake."""

    count = fields.Integer(required=True)
    members = fields.List(fields.String(), required=True, **description("The first ones, by name."))


class WaiterForecast(Schema):
    """A waiter whose state or progress the batch would change."""

    name = fields.String(required=True)
    revision = revision_field()
    state = fields.String(required=True, validate=OneOf(WAITER_STATES))
    becomes = fields.String(required=True, validate=OneOf(WAITER_STATES))
    reason = fields.String(required=True, allow_none=True)
    satisfied = fields.Integer(required=True)
    needed = fields.Integer(required=True)
    missing = fields.List(fields.String(), required=True)
    failing = fields.List(fields.String(), required=True)


class AlarmForecast(Schema):
    """An alarm that the batch would change."""

    name = fields.String(required=True)
    revision = revision_field()
    state = fields.String(required=True, validate=OneOf(ALARM_STATES))
    becomes = fields.String(required=True, validate=OneOf(ALARM_STATES))
    step = fields.String(
        required=True,
        validate=OneOf(STEPS),
        **description(
            "edge: its state changes at once. pend: after the alarm's 'for', unless the condition "
            "changes back. withdraw: such a wait ends. repeat: the raised alarm is reported again."
        ),
    )
    value = fields.Float(required=True, allow_none=True)
    reason = fields.String(required=True)


class QuotaUse(Schema):
    """The usage after the batch, and the limit."""

    used = fields.Integer(required=True)
    limit = fields.Integer(required=True, **description("-1 for no limit."))


class QuotasAfter(Schema):
    """The usage of the project and the stack after the batch."""

    stacks = fields.Nested(QuotaUse, required=True)
    facts = fields.Nested(QuotaUse, required=True)
    bytes = fields.Nested(QuotaUse, required=True)
    facts_per_stack = fields.Nested(QuotaUse, required=True)
    bytes_per_stack = fields.Nested(QuotaUse, required=True)


class BatchPreview(Schema):
    """The effects that a batch would have.  Parts that the caller may not read elsewhere are null."""

    dry_run = fields.Boolean(required=True, metadata={"enum": [True]})
    results = fields.List(fields.Nested(PlannedResult), required=True)
    wakes = fields.Nested(WokenMembers, required=True, allow_none=True)
    waiters = fields.List(fields.Nested(WaiterForecast), required=True, allow_none=True)
    alarms = fields.List(fields.Nested(AlarmForecast), required=True, allow_none=True)
    quota = fields.Nested(QuotasAfter, required=True, allow_none=True)
    plan = fields.String(
        required=True,
        **description(
            "Send it as If-Plan with the same batch to carry out exactly this.",
            pattern=f"^{PLAN_PATTERN}$",
        ),
    )
    cursor = cursor_field()


BATCH_OR_PREVIEW = {"oneOf": [BatchResponse, BatchPreview]}
