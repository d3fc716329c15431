"""Shapes of a project's limits."""

from __future__ import annotations

from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import cursor_field, description, project_parameter


class LimitsQuery(Schema):
    """Showing a project's limits."""

    project_id = project_parameter()
    stack = fields.String(
        load_default="", **description("Show also which history of this stack is kept.")
    )


def _limit(text: str) -> fields.Integer:
    return fields.Integer(required=True, **description(f"{text}; -1 for no limit."))


class ProjectLimits(Schema):
    """The limits of a project."""

    stacks = _limit("Stacks")
    facts = _limit("Facts of all stacks")
    bytes = _limit("Bytes of paths and canonical values of all stacks")
    facts_per_stack = _limit("Facts of one stack")
    bytes_per_stack = _limit("Bytes of one stack")
    subscriptions = _limit("Subscriptions")
    streams = _limit("Open streams at one worker")
    streams_per_stack = _limit("Open streams of one stack at one worker")
    waiting_requests = _limit("Waiting requests at one worker")
    requests_per_second = _limit(
        "Requests that one worker serves each second on average, and twice as many heartbeats"
    )
    burst = fields.Integer(required=True)
    history_events = _limit("Recent events of all projects that one worker keeps")
    history_bytes = _limit("Approximate bytes of these events in memory")


class ProjectUsage(Schema):
    """The usage of a project; streams, waits and history are those of the worker that answers."""

    stacks = fields.Integer(required=True)
    facts = fields.Integer(required=True)
    bytes = fields.Integer(required=True)
    subscriptions = fields.Integer(required=True)
    streams = fields.Integer(required=True)
    waiting_requests = fields.Integer(required=True)
    history_events = fields.Integer(
        required=True, **description("Recent events of the project that are kept.")
    )
    history_bytes = fields.Integer(
        required=True, **description("Approximate bytes of these events in memory.")
    )


class StackHistory(Schema):
    """The recent events of a stack that the worker keeps."""

    name = fields.String(required=True)
    history_events = fields.Integer(required=True)
    history_bytes = fields.Integer(required=True)
    history_since = cursor_field()


class Limits(Schema):
    """A project's limits and usage."""

    limits = fields.Nested(ProjectLimits, required=True)
    usage = fields.Nested(ProjectUsage, required=True)
    stack = fields.Nested(StackHistory, **description("With the parameter ``stack``."))
