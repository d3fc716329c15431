"""Options that protect projects from each other."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

PREFIX = "limits:"
"""The prefix of sections that override :data:`LIMITS_GROUP` for one project."""

LIMITS_GROUP = cfg.OptGroup(
    "limits",
    title="Quotas and rate limits of each project",
    help="-1 stands for no limit.  A section [limits:PROJECT_ID] overrides some of these options for "
    "one project.",
)


def _limit(name: str, default: int, text: str, **more: Any) -> cfg.IntOpt:
    return cfg.IntOpt(name, default=default, min=-1, help=text, **more)


LIMITS_OPTS = [
    _limit("stacks", 1000, "Maximum number of stacks of a project."),
    _limit("facts", 100_000, "Maximum number of facts in all stacks of a project."),
    _limit(
        "bytes",
        256 * 1024 * 1024,
        "Maximum size of the facts in all stacks of a project: the bytes of their paths and "
        "canonical values.  Each worker keeps all facts in memory.  The quota of etcd must be larger "
        "than the total size for all projects.",
    ),
    _limit("facts_per_stack", 50_000, "Maximum number of facts in one stack."),
    _limit(
        "bytes_per_stack",
        64 * 1024 * 1024,
        "Maximum size of the facts in one stack: the bytes of their paths and canonical values.  A "
        "sensitive value counts with its sealed size, which is larger.",
    ),
    _limit("subscriptions", 100, "Maximum number of subscriptions of a project."),
    _limit("streams", 10_000, "Maximum number of open streams of a project in one worker."),
    _limit(
        "streams_per_stack", 10_000, "Maximum number of open streams of one stack in one worker."
    ),
    _limit(
        "waiting_requests",
        5000,
        "Maximum number of requests with the parameter wait that run at the same time for a project in "
        "one worker.",
    ),
    _limit(
        "requests_per_second",
        1000,
        "Average number of requests of a project that one worker serves in a second.  Every 4 KiB of "
        "a request's body, and every 64 KiB of a response's, count as another request.  Above the "
        "limit, a worker delays requests for up to 5 seconds, and then refuses them with status 429.  "
        "The option limits the load on etcd; whatever its value, projects share the time of a worker.  "
        "Heartbeats of members have a separate limit of the same rate, and each counts as half a "
        "request.",
    ),
    cfg.IntOpt(
        "burst",
        default=2000,
        min=1,
        help="Number of requests that an idle project can send to one worker at once.  The same number "
        "applies separately to heartbeats.",
    ),
]
