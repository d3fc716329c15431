"""Shapes of a project's limits."""

from __future__ import annotations

from marshmallow import fields

from factstore.api.schemas.base import Schema
from factstore.api.schemas.field_types import description, project_parameter


class LimitsQuery(Schema):
    """Showing a project's limits."""

    project_id = project_parameter()


def _limit(text: str) -> fields.Integer:
    return fields.Integer(required=True, **description(f"{text}; -1 for no limit."))


class ProjectLimits(Schema):
    """The limits of a project."""

    stacks = _limit("Stacks")
    facts = _limit("Facts of all stacks")
    bytes = _limit("Bytes of paths and canonical values of all stacks")
    facts_per_stack = _limit("Facts of one stack")
    bytes_per_stack = _limit("Bytes of one stack")
    streams = _limit("Open streams at one worker")
    streams_per_stack = _limit("Open streams of one stack at one worker")
    waiting_requests = _limit("Waiting requests at one worker")
    requests_per_second = _limit(
        "Requests that one worker serves each second on average, and twice as many heartbeats"
    )
    burst = fields.Integer(required=True)


class ProjectUsage(Schema):
    """The usage of a project; streams and waiting requests are those of the worker that answers."""

    stacks = fields.Integer(required=True)
    facts = fields.Integer(required=True)
    bytes = fields.Integer(required=True)
    streams = fields.Integer(required=True)
    waiting_requests = fields.Integer(required=True)


class Limits(Schema):
    """A project's limits and usage."""

    limits = fields.Nested(ProjectLimits, required=True)
    usage = fields.Nested(ProjectUsage, required=True)
