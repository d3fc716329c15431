"""Options that keep one project from taking what others need."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

PREFIX = "limits:"
"""What the name of a section begins with that overrides :data:`LIMITS_GROUP` for one project."""

LIMITS_GROUP = cfg.OptGroup(
    "limits",
    title="Quotas and rates of each project",
    help="-1 leaves something unlimited.  A section [limits:PROJECT_ID] with some of these options "
    "overrides them for one project.",
)


def _limit(name: str, default: int, text: str, **more: Any) -> cfg.IntOpt:
    return cfg.IntOpt(name, default=default, min=-1, help=text, **more)


LIMITS_OPTS = [
    _limit("stacks", 1000, "Stacks of a project."),
    _limit("facts", 100_000, "Facts of a project, over all of its stacks."),
    _limit(
        "bytes",
        256 * 1024 * 1024,
        "Bytes of paths and canonical values of a project's facts, over all of its stacks.  Each "
        "worker holds them in memory, and etcd's own quota must exceed what all projects store.",
    ),
    _limit("facts_per_stack", 50_000, "Facts of one stack."),
    _limit("bytes_per_stack", 64 * 1024 * 1024, "Bytes of paths and values of one stack's facts."),
    _limit("streams", 5000, "Watch streams that a project has open at once in one worker."),
    _limit("streams_per_stack", 5000, "Those of them that are of one stack."),
    _limit(
        "waiting_requests",
        5000,
        "Requests with wait that a project has under way at once in one worker.",
    ),
    _limit(
        "requests_per_second",
        200,
        "Requests of a project that one worker serves each second in the long run.  Every 4 KiB of "
        "their and their answers' bodies count as one more.  Above it, requests are held up for up "
        "to a second, and then refused with 429.  A fraction of what a worker can do keeps one "
        "project from slowing the others.  Heartbeats of members have the same rate once more, and "
        "each counts half.",
    ),
    cfg.IntOpt(
        "burst",
        default=400,
        min=1,
        help="Requests that a project may send at once to one worker after it was silent, and in "
        "heartbeats as much again.",
    ),
]
