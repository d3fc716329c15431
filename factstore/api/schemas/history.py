"""Shapes of the history of a fact."""

from __future__ import annotations

from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.context import ContextMember
from factstore.api.schemas.facts import Fact
from factstore.api.schemas.field_types import (
    OneOf,
    cursor_field,
    integer_parameter,
    string_parameter,
)
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.event import CHANGE_TYPES

_TYPES = [each for each in CHANGE_TYPES if each.startswith("fact.")]


class HistoryQuery(Schema):
    """Reading the recent changes of a fact."""

    limit = integer_parameter("Changes to return, 1 to 1000. The default is 100.", 1, 1000, 100)
    before = string_parameter(CURSOR_PATTERN, "Return only changes before this cursor.")


class DiffQuery(Schema):
    """Comparing a stack at two cursors."""

    since = string_parameter(
        CURSOR_PATTERN,
        "The earlier cursor. The default is the oldest one from which the service knows all changes.",
    )
    until = string_parameter(CURSOR_PATTERN, "The later cursor. The default is the present.")


class PastChange(Schema):
    """A change of a fact."""

    cursor = cursor_field()
    type = fields.String(required=True, validate=OneOf(_TYPES))
    fact = fields.Nested(Fact, required=True, allow_none=True)
    by = fields.String(required=True, allow_none=True)
    request_id = fields.String(required=True, allow_none=True)


class History(Schema):
    """The changes of a fact, the newest first."""

    path = fields.String(required=True)
    changes = fields.List(fields.Nested(PastChange), required=True)
    since = cursor_field()
    more = fields.Boolean(required=True)


class FactDifference(Schema):
    """A fact at two cursors."""

    path = fields.String(required=True)
    before = fields.Nested(Fact, required=True, allow_none=True)
    after = fields.Nested(Fact, required=True, allow_none=True)


class MemberDifference(Schema):
    """A member at two cursors."""

    name = fields.String(required=True)
    before = fields.Nested(ContextMember, required=True, allow_none=True)
    after = fields.Nested(ContextMember, required=True, allow_none=True)


class Diff(Schema):
    """The facts and members that are not the same at two cursors."""

    since = cursor_field()
    until = cursor_field()
    facts = fields.List(fields.Nested(FactDifference), required=True)
    members = fields.List(fields.Nested(MemberDifference), required=True)
