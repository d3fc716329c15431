"""Shapes of the causes of a member's last run."""

from __future__ import annotations

from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import (
    OneOf,
    cursor_field,
    description,
)
from factstore.core.model.event import CHANGE_TYPES
from factstore.core.services.cause_chain import END_KINDS

_TYPES = [each for each in CHANGE_TYPES if each.startswith(("fact.", "member."))]


class WhyStep(Schema):
    """A change that woke a member; all but the cursors is null if the caller may not read it."""

    cursor = cursor_field()
    type = fields.String(required=True, allow_none=True, validate=OneOf(_TYPES))
    path = fields.String(required=True, allow_none=True)
    member = fields.String(required=True, allow_none=True)
    by = fields.String(required=True, allow_none=True)
    request_id = fields.String(required=True, allow_none=True)
    at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})
    writer = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    declared = fields.String(required=True, allow_none=True)
    others = fields.Integer(required=True)
    cause = cursor_field(nullable=True)


class WhyEnd(Schema):
    """The reason why there are no more steps."""

    kind = fields.String(required=True, validate=OneOf(END_KINDS))
    detail = fields.String(required=True)


class WhyFlapping(Schema):
    """A path that the members of the chain change again and again."""

    path = fields.String(required=True)
    times = fields.Integer(required=True)
    paths = fields.List(fields.String(), required=True)
    writers = fields.List(fields.String(), required=True)


class Why(Schema):
    """The cause of a member's last run."""

    member = fields.String(required=True)
    group = fields.String(required=True)
    applied = cursor_field(nullable=True)
    target = cursor_field(nullable=True)
    steps = fields.List(fields.Nested(WhyStep), required=True, **description("The newest first."))
    end = fields.Nested(WhyEnd, required=True)
    flapping = fields.Nested(WhyFlapping, required=True, allow_none=True)
    since = cursor_field()
