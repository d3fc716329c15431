"""Shapes of a stack's convergence."""

from __future__ import annotations

from typing import get_args

from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import (
    OneOf,
    boolean_parameter,
    consistency_parameter,
    cursor_field,
    description,
    string_parameter,
    wait_parameter,
)
from factstore.core.model.member import MemberState
from factstore.core.model.path import SEGMENT_PATTERN


class ConvergenceQuery(Schema):
    """Showing which members lag."""

    group = string_parameter(SEGMENT_PATTERN, "Compare only members of this group.")
    include_draining = boolean_parameter("Compare draining members too.")
    wait = wait_parameter()
    consistency = consistency_parameter()


class Follower(Schema):
    """A member, the cursor that it has to apply, and the cursor that it has applied."""

    name = fields.String(required=True)
    group = fields.String(required=True)
    state = fields.String(required=True, validate=OneOf(get_args(MemberState)))
    target = cursor_field(nullable=True)
    applied = cursor_field(nullable=True)
    lags = fields.Boolean(required=True)


class Convergence(Schema):
    """The cursor that members have to apply, and the members that have not."""

    target = cursor_field()
    converged = fields.Boolean(required=True)
    concerned = fields.Integer(
        required=True,
        **description(
            "The number of these members that the change at the target concerns.", minimum=0
        ),
    )
    members = fields.List(fields.Nested(Follower), required=True)
    lagging = fields.List(fields.String(), required=True)
