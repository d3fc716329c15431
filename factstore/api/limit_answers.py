"""What the answer about limits holds, as the OpenAPI document describes it."""

from __future__ import annotations

from marshmallow import fields

from factstore.api.field_types import Schema


def _limit(text: str) -> fields.Integer:
    return fields.Integer(required=True, metadata={"description": f"{text}; -1 for no limit."})


class ProjectLimits(Schema):
    """How much a project may use."""

    stacks = _limit("Stacks")
    facts = _limit("Facts, over all stacks")
    bytes = _limit("Bytes of paths and canonical values, over all stacks")
    facts_per_stack = _limit("Facts of one stack")
    bytes_per_stack = _limit("Bytes of one stack")
    streams = _limit("Streams open at once in one worker")
    streams_per_stack = _limit("Streams of one stack open at once in one worker")
    waiting_requests = _limit("Requests with wait under way at once in one worker")
    requests_per_second = _limit(
        "Requests that one worker serves each second in the long run, and twice as many heartbeats"
    )
    burst = fields.Integer(required=True)


class ProjectUsage(Schema):
    """How much a project uses; streams and waiting requests are those of the worker that answers."""

    stacks = fields.Integer(required=True)
    facts = fields.Integer(required=True)
    bytes = fields.Integer(required=True)
    streams = fields.Integer(required=True)
    waiting_requests = fields.Integer(required=True)


class Limits(Schema):
    """A project's limits and usage."""

    limits = fields.Nested(ProjectLimits, required=True)
    usage = fields.Nested(ProjectUsage, required=True)
