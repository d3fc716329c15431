"""What answers about contexts hold."""

from __future__ import annotations

from marshmallow import fields

from factstore.api.field_types import Schema
from factstore.core.model.cursor import CURSOR_PATTERN


class ContextMember(Schema):
    """A living member."""

    group = fields.String(required=True)
    state = fields.String(required=True)
    attributes = fields.Dict(required=True)


class ContextPeer(Schema):
    """A living member, with the facts below its folder in nodes/."""

    state = fields.String(required=True)
    attributes = fields.Dict(required=True)
    facts = fields.Dict(required=True)


class ContextSelf(ContextPeer):
    """The member that looks."""

    name = fields.String(required=True)
    group = fields.String(required=True)


class Context(Schema):
    """A stack compiled into one document; for a member with itself and its peers by group."""

    stack = fields.String(required=True)
    facts = fields.Dict(required=True, metadata={"description": "The values, nested by path."})
    members = fields.Dict(keys=fields.String(), values=fields.Nested(ContextMember), required=True)
    sensitive = fields.Dict(
        keys=fields.String(),
        values=fields.String(metadata={"pattern": f"^{CURSOR_PATTERN}$"}),
        metadata={
            "description": "The entity tags of sensitive facts by path, if there are any; their values "
            "are null."
        },
    )
    myself = fields.Nested(ContextSelf, data_key="self")
    peers = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.Nested(ContextPeer)),
    )
