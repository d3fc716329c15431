"""What bodies of requests may hold; the domain checks the form of names."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from factstore.api.field_types import Pattern, Schema, described, flag, seconds
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.fact import DESCRIPTION_LENGTH, KINDS, TTL_MAX, TTL_MIN
from factstore.core.model.member import (
    DECLARED_PATTERN,
    GENERATION_PATTERN,
    HEARTBEAT_TTL_MAX,
    HEARTBEAT_TTL_MIN,
    REASON_PATTERN,
    SETTABLE,
)
from factstore.core.model.path import PATH_LENGTH, PATH_PATTERN, SEGMENT_PATTERN
from factstore.core.model.secret_readers import READER_PATTERN, READERS
from factstore.core.operations.fact_plan import BATCH_OPERATIONS


def _path() -> fields.String:
    """A fact's path in a body; the domain checks its form."""
    metadata = {"pattern": f"^{PATH_PATTERN}$", "maxLength": PATH_LENGTH}
    return fields.String(required=True, metadata=metadata)


def _generation(text: str) -> fields.String:
    return fields.String(
        load_default=None,
        allow_none=True,
        validate=Pattern(rf"^{GENERATION_PATTERN}$"),
        **described(text),
    )


class FactBody(Schema):
    """A fact to store."""

    value = fields.Raw(required=True, allow_none=True, **described("Any JSON value."))
    kind = fields.String(load_default="observed", validate=validate.OneOf(KINDS))
    ttl = seconds("Seconds until it expires unless it is put again", TTL_MIN, TTL_MAX, None)
    member = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "The member that it goes with, instead of a ttl.",
            "pattern": f"^{SEGMENT_PATTERN}$",
        },
    )
    generation = _generation("Only if this incarnation lives, and is that of 'member'.")
    sensitive = flag("Whether the value is sealed, and shown to few.")
    readers = fields.List(
        fields.String(metadata={"pattern": f"^{READER_PATTERN}$"}),
        load_default=list,
        metadata={
            "description": "Groups and members that may read a sensitive value, beside whom policy "
            "lets: group/NAME, member/NAME.",
            "maxItems": READERS,
            "uniqueItems": True,
        },
    )


class BatchPut(FactBody):
    """A fact to store at a path."""

    path = _path()


class BatchDelete(Schema):
    """A fact to remove."""

    path = _path()


class BatchOperation(Schema):
    """Either a put or a delete."""

    put = fields.Nested(BatchPut)
    delete = fields.Nested(BatchDelete)

    @ma.validates_schema
    def _exactly_one(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ma.ValidationError("An operation is either a put or a delete.")


class BatchGuard(Schema):
    """What must hold of a path: an etag, or that it exists, or that it is absent."""

    path = _path()
    etag = fields.String()
    exists = fields.Boolean(truthy={True}, falsy=set(), metadata={"enum": [True]})
    absent = fields.Boolean(truthy={True}, falsy=set(), metadata={"enum": [True]})

    @ma.validates_schema
    def _exactly_one(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 2:
            raise ma.ValidationError(
                "A guard has a path and one of etag, exists: true, absent: true."
            )


class BatchBody(Schema):
    """Operations that happen all or not at all."""

    guards = fields.List(
        fields.Nested(BatchGuard, metadata={"minProperties": 2, "maxProperties": 2}),
        load_default=list,
        metadata={"maxItems": BATCH_OPERATIONS - 1},
    )
    operations = fields.List(
        fields.Nested(BatchOperation, metadata={"minProperties": 1, "maxProperties": 1}),
        required=True,
        metadata={
            "description": f"At most {BATCH_OPERATIONS}, guards included.",
            "minItems": 1,
            "maxItems": BATCH_OPERATIONS,
        },
    )


class MemberBody(Schema):
    """What somebody is who joins."""

    group = fields.String(required=True, metadata={"pattern": f"^{SEGMENT_PATTERN}$"})
    ttl = seconds(
        "Seconds of silence after which it is gone",
        HEARTBEAT_TTL_MIN,
        HEARTBEAT_TTL_MAX,
        None,
        nullable=False,
    )
    attributes = fields.Dict(load_default=dict, **described("What others may want to know of it."))
    generation = _generation("The present one, to change the member; else it joins anew.")
    declared = fields.String(
        load_default=None,
        allow_none=True,
        validate=Pattern(rf"^{DECLARED_PATTERN}$"),
        **described(
            "What the member stands for, of an owner who declares it: it need not have joined, and "
            "silence does not end it until it has. Goes without ttl and generation."
        ),
    )
    reason = fields.String(
        load_default=None,
        allow_none=True,
        validate=Pattern(rf"^{REASON_PATTERN}$"),
        **described("Why it joins, in a word; watchers are told. For owners to say."),
    )


class MemberPatch(Schema):
    """How a member is."""

    state = fields.String(required=True, validate=validate.OneOf(SETTABLE))
    generation = _generation("Only if this incarnation lives.")


class HeartbeatBody(Schema):
    """What a member tells with its sign of life."""

    generation = _generation("Only if this incarnation lives.")
    applied = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "The cursor of the context, or of the event, that it has put to use.",
            "pattern": f"^{CURSOR_PATTERN}$",
        },
    )


class StackBody(Schema):
    """A stack's settings."""

    description = fields.String(load_default="", validate=validate.Length(max=DESCRIPTION_LENGTH))
