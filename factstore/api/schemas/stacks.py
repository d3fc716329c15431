"""Shapes of stacks."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields, validate

from factstore.api.schemas.base import Link, PageQuery, Schema
from factstore.api.schemas.field_types import (
    consistency_parameter,
    cursor_field,
    optional_integer_field,
    project_parameter,
    timestamp_field,
)
from factstore.core.model.fact import DESCRIPTION_LENGTH
from factstore.core.model.kept_value import KEEP_VALUES_MAX

# Queries


class StacksQuery(PageQuery):
    """Listing stacks."""

    project_id = project_parameter()


class StackQuery(Schema):
    """Showing a stack."""

    consistency = consistency_parameter()


# Bodies


class StackBody(Schema):
    """A stack's settings."""

    example: ClassVar[dict[str, Any]] = {"description": "A batch cluster"}

    description = fields.String(load_default="", validate=validate.Length(max=DESCRIPTION_LENGTH))
    keep_values = optional_integer_field(
        "How many earlier values of each fact are kept for its history, also beyond the recent "
        "events. An existing stack keeps its number if you leave this out; a new one keeps none.",
        0,
        KEEP_VALUES_MAX,
    )


# Responses


class Settings(Schema):
    """A stack's settings."""

    description = fields.String(required=True)
    keep_values = fields.Integer(required=True)


class Usage(Schema):
    """The number of a stack's facts, and their size."""

    facts = fields.Integer(required=True)
    bytes = fields.Integer(required=True)


class StackSummary(Schema):
    """A stack in a list."""

    name = fields.String(required=True)
    id = fields.String(required=True)
    project_id = fields.String(required=True)
    settings = fields.Nested(Settings, required=True)
    created_at = timestamp_field()
    updated_at = timestamp_field()
    updated_by = fields.String(required=True)
    links = fields.List(fields.Nested(Link), required=True)


class Stack(StackSummary):
    """A stack."""

    usage = fields.Nested(Usage, required=True)


class StackPage(Schema):
    """A page of stacks."""

    stacks = fields.List(fields.Nested(StackSummary), required=True)
    cursor = cursor_field()
    links = fields.List(fields.Nested(Link), required=True)
