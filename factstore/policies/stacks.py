"""Rules for stacks, their contexts and their events."""

from __future__ import annotations

from factstore.policies.base import ADMIN, MEMBER, READER, READER_OR_HOLDER, documented

LIST = "contextualization:stacks:list"
LIST_ANY = "contextualization:stacks:list_any_project"
GET = "contextualization:stacks:get"
PUT = "contextualization:stacks:put"
DELETE = "contextualization:stacks:delete"
CONTEXT = "contextualization:context:get"
EVENTS = "contextualization:events:get"
CONVERGENCE = "contextualization:stacks:convergence"

RULES = [
    documented("stacks:list", READER, "List the stacks of a project.", ("GET", "/stacks")),
    documented(
        "stacks:list_any_project",
        ADMIN,
        "List the stacks of another project, named by project_id.",
        ("GET", "/stacks"),
    ),
    documented(
        "stacks:get",
        READER_OR_HOLDER,
        "Show a stack's settings and usage.",
        ("GET", "/stacks/{stack}"),
    ),
    documented(
        "stacks:put", MEMBER, "Create a stack or change its settings.", ("PUT", "/stacks/{stack}")
    ),
    documented(
        "stacks:delete",
        MEMBER,
        "Delete a stack and everything in it.",
        ("DELETE", "/stacks/{stack}"),
    ),
    documented(
        "context:get",
        READER_OR_HOLDER,
        "Read everything a stack knows as one document.",
        ("GET", "/stacks/{stack}/context"),
        ("HEAD", "/stacks/{stack}/context"),
    ),
    documented("events:get", READER_OR_HOLDER, "Watch a stack.", ("GET", "/stacks/{stack}/events")),
    documented(
        "stacks:convergence",
        READER_OR_HOLDER,
        "Show which members have applied what a stack is now, or wait for all of them.",
        ("GET", "/stacks/{stack}/convergence"),
    ),
]
