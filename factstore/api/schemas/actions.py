"""Shapes of actions."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from factstore.api.schemas.base import PAGE_LIMIT, Link, Schema
from factstore.api.schemas.configurations import ResultBody, configuration_fields
from factstore.api.schemas.field_types import (
    OneOf,
    consistency_parameter,
    description,
    integer_field,
    integer_parameter,
    string_parameter,
    timestamp_field,
    wait_parameter,
)
from factstore.core.model.action import (
    MAX_PARALLEL,
    TIMEOUT_DEFAULT,
    TIMEOUT_MAX,
    TTL_DEFAULT,
    TTL_MAX,
    TTL_MIN,
)
from factstore.core.model.path import SEGMENT_PATTERN
from factstore.core.state.action_view import ACTION_STATES, RUN_STATES

# Queries


class ActionQuery(Schema):
    """Showing actions."""

    wait = wait_parameter()
    consistency = consistency_parameter()


class ActionResultQuery(Schema):
    """Showing a result."""

    consistency = consistency_parameter()


class ActionResultsQuery(Schema):
    """Showing the results of an action."""

    limit = integer_parameter(f"Results on a page, 1 to {PAGE_LIMIT}.", 1, PAGE_LIMIT, 100)
    marker = string_parameter(SEGMENT_PATTERN, "The member after which the page begins.")
    consistency = consistency_parameter()


# Bodies


def _name(text: str, *, required: bool = False, **metadata: Any) -> fields.Raw:
    more = {"type": "string", "pattern": f"^{SEGMENT_PATTERN}$", **metadata}
    if required:
        return fields.Raw(required=True, **description(text, **more))
    return fields.Raw(
        load_default=None, allow_none=True, **description(text, nullable=True, **more)
    )


class ActionBody(Schema):
    """An action to run."""

    example: ClassVar[dict[str, Any]] = {
        "hook": "script",
        "config": "#!/bin/sh\nuptime >&2\n",
        "group": "compute",
        "max_parallel": 10,
    }

    hook = _name("The hook that runs, such as script.", required=True, example="script")
    config, options, inputs, input_facts = configuration_fields()
    member = _name("The only member that runs the action. Give either a member or a group.")
    group = _name("The group whose members run the action: those that have joined.")
    max_parallel = fields.Raw(
        load_default=None,
        **description(
            "The number of members that may run the action at the same time; null for all.",
            type="integer",
            nullable=True,
            minimum=1,
            maximum=MAX_PARALLEL,
        ),
    )
    timeout = integer_field(
        "Seconds after which the action ends; runs that have not ended are timed out.",
        1,
        TIMEOUT_MAX,
        TIMEOUT_DEFAULT,
    )
    ttl = integer_field(
        "Seconds after the timeout for which the action and its results are kept.",
        TTL_MIN,
        TTL_MAX,
        TTL_DEFAULT,
    )


class CancelBody(Schema):
    """A request to cancel an action."""

    example: ClassVar[dict[str, Any]] = {}


class ActionResultBody(ResultBody):
    """The result of a run, or its progress."""

    example: ClassVar[dict[str, Any]] = {"state": "complete", "status_code": 0}

    class Meta(ResultBody.Meta):
        exclude = ("id",)


# Responses


class ActionResultSummary(Schema):
    """The run of one member."""

    member = fields.String(required=True)
    state = fields.String(required=True, validate=OneOf(RUN_STATES))
    status_code = fields.Integer(required=True, allow_none=True)
    percent = fields.Integer(required=True, allow_none=True)
    message = fields.String(required=True)
    reason = fields.String(required=True)
    started_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})
    ended_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})


class ActionResult(ActionResultSummary):
    """The run of one member, with what its hook printed."""

    stdout = fields.String(required=True)
    stderr = fields.String(required=True)
    outputs = fields.Dict(required=True)


class ActionSummary(Schema):
    """An action in a list."""

    id = fields.String(required=True)
    hook = fields.String(required=True)
    member = fields.String(required=True, allow_none=True)
    group = fields.String(required=True, allow_none=True)
    max_parallel = fields.Integer(required=True, allow_none=True, metadata={"minimum": 1})
    timeout = fields.Integer(required=True, metadata={"minimum": 1})
    ttl = fields.Integer(required=True, metadata={"minimum": 1})
    state = fields.String(required=True, validate=OneOf(ACTION_STATES))
    counts = fields.Dict(
        required=True,
        keys=fields.String(validate=OneOf(RUN_STATES)),
        values=fields.Integer(metadata={"minimum": 1}),
        **description("The number of members in each state."),
    )
    created_at = timestamp_field()
    created_by = fields.String(required=True)
    cancelled_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})


class Action(Schema):
    """An action.  To the holder of a grant, it shows only the run of its own member."""

    id = fields.String(required=True)
    hook = fields.String(required=True)
    config = fields.String(required=True)
    options = fields.Dict(required=True)
    inputs = fields.Dict(required=True)
    input_facts = fields.Dict(required=True)
    member = fields.String(allow_none=True)
    group = fields.String(allow_none=True)
    max_parallel = fields.Integer(allow_none=True, metadata={"minimum": 1})
    timeout = fields.Integer(required=True, metadata={"minimum": 1})
    ttl = fields.Integer(metadata={"minimum": 1})
    state = fields.String(validate=OneOf(ACTION_STATES))
    counts = fields.Dict(
        keys=fields.String(validate=OneOf(RUN_STATES)),
        values=fields.Integer(metadata={"minimum": 1}),
        **description("The number of members in each state."),
    )
    created_at = timestamp_field()
    created_by = fields.String()
    cancelled_at = fields.String(allow_none=True, metadata={"format": "date-time"})
    results = fields.List(fields.Nested(ActionResultSummary), required=True)


class ActionList(Schema):
    """Actions in the order in which they were created."""

    actions = fields.List(fields.Nested(ActionSummary), required=True)


class MemberAction(Schema):
    """An action that a member is to run, or runs."""

    id = fields.String(required=True)
    hook = fields.String(required=True)
    state = fields.String(required=True, validate=OneOf(RUN_STATES))
    created_at = timestamp_field()


class MemberActionList(Schema):
    """Actions that have not ended, in the order in which they were created."""

    actions = fields.List(fields.Nested(MemberAction), required=True)


class ActionResultPage(Schema):
    """Results by the names of their members."""

    results = fields.List(fields.Nested(ActionResult), required=True)
    links = fields.List(fields.Nested(Link), required=True)
