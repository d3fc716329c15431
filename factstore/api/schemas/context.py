"""Shapes of a stack's context."""

from __future__ import annotations

from marshmallow import fields, validate

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import (
    SettleQuery,
    consistency_parameter,
    description,
    string_parameter,
    wait_parameter,
)
from factstore.core.model.cursor import CURSOR_PATTERN
from factstore.core.model.path import SEGMENT_PATTERN


class ContextQuery(SettleQuery):
    """Reading a context."""

    wait = wait_parameter()
    include = fields.String(
        load_default="",
        validate=validate.OneOf(["", "results"]),
        **description("With 'results', the context includes the facts below results/."),
    )
    member = string_parameter(
        SEGMENT_PATTERN, "The member that reads the context. Adds 'self' and 'peers'."
    )
    consistency = consistency_parameter()


class ContextMember(Schema):
    """A member."""

    group = fields.String(required=True)
    state = fields.String(required=True)
    attributes = fields.Dict(required=True)


class ContextPeer(Schema):
    """A member, with the facts below its folder in nodes/."""

    state = fields.String(required=True)
    attributes = fields.Dict(required=True)
    facts = fields.Dict(required=True)


class ContextSelf(ContextPeer):
    """The member that reads the context."""

    name = fields.String(required=True)
    group = fields.String(required=True)


class Context(Schema):
    """A stack as one document; for a member, with the member itself and its peers by group."""

    stack = fields.String(required=True)
    facts = fields.Dict(required=True, **description("The values, nested by path."))
    members = fields.Dict(keys=fields.String(), values=fields.Nested(ContextMember), required=True)
    sensitive = fields.Dict(
        keys=fields.String(),
        values=fields.String(metadata={"pattern": f"^{CURSOR_PATTERN}$"}),
        **description(
            "The entity tags of sensitive facts by path, if there are any. Their values are null."
        ),
    )
    myself = fields.Nested(ContextSelf, data_key="self")
    peers = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Nested(ContextPeer)),
    )
