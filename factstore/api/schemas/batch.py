"""Shapes of batches."""

from __future__ import annotations

from typing import Any, ClassVar

import marshmallow as ma
from marshmallow import fields, validate

from factstore.api.schemas.base import Schema
from factstore.api.schemas.facts import Fact, FactBody
from factstore.api.schemas.field_types import cursor_field, description
from factstore.core.model.path import PATH_LENGTH, PATH_PATTERN
from factstore.core.operations.batches import BATCH_OPERATIONS


def _path(*, required: bool = True) -> fields.String:
    metadata = {"pattern": f"^{PATH_PATTERN}$", "maxLength": PATH_LENGTH}
    return fields.String(required=required, metadata=metadata)


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
        validate=validate.OneOf(["created", "updated", "unchanged", "deleted", "absent"]),
    )
    fact = fields.Nested(Fact, required=True, allow_none=True)
    deleted = fields.Integer(
        **description("The number of deleted facts; only in the result of a prefix."),
    )


class BatchResponse(Schema):
    """The outcome of a batch."""

    results = fields.List(fields.Nested(BatchResult), required=True)
    cursor = cursor_field()
