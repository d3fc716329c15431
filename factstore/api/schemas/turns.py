"""Shapes of turns."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import (
    OneOf,
    boolean_field,
    consistency_parameter,
    description,
    generation_field,
    integer_field,
    revision_field,
    timestamp_field,
    wait_parameter,
)
from factstore.core.model.turn import MAX_PARALLEL

# Queries


class TurnQuery(Schema):
    """Showing turns."""

    wait = wait_parameter()
    consistency = consistency_parameter()


class TakeQuery(Schema):
    """Taking a turn."""

    wait = wait_parameter()


# Bodies


class TurnBody(Schema):
    """A turn to take."""

    example: ClassVar[dict[str, Any]] = {"max_parallel": 2}

    generation = generation_field("Take the turn only if this is the member's current generation.")
    max_parallel = integer_field(
        "The turn is held while fewer turns than this are ahead of it.", 1, MAX_PARALLEL, 1
    )
    rank = boolean_field(
        "Assign the lowest number that no other member of the queue has, for as long as the turn "
        "exists."
    )


# Responses


class Turn(Schema):
    """A turn."""

    queue = fields.String(required=True)
    member = fields.String(required=True)
    state = fields.String(required=True, validate=OneOf(["holding", "waiting"]))
    position = fields.Integer(
        required=True, **description("1 for the first turn of the queue.", minimum=1)
    )
    max_parallel = fields.Integer(required=True, metadata={"minimum": 1})
    rank = fields.Integer(
        required=True,
        allow_none=True,
        **description("The number of the member in the queue, from 0; null without one."),
    )
    revision = revision_field()
    created_at = timestamp_field()


class TurnList(Schema):
    """Turns by queue, each queue in the order in which its turns are held."""

    turns = fields.List(fields.Nested(Turn), required=True)
