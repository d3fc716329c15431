"""Rules for stacks, their contexts and their events."""

from __future__ import annotations

from factstore.policies.base import ADMIN, MEMBER, READER, READER_OR_HOLDER, operation_rule

LIST = "contextualization:stacks:list"
LIST_ANY = "contextualization:stacks:list_any_project"
GET = "contextualization:stacks:get"
PUT = "contextualization:stacks:put"
DELETE = "contextualization:stacks:delete"
CONTEXT = "contextualization:context:get"
EVENTS = "contextualization:events:get"
ALL_EVENTS = "contextualization:events:list"
ALL_EVENTS_ANY = "contextualization:events:list_any_project"
CONVERGENCE = "contextualization:stacks:convergence"

RULES = [
    operation_rule("stacks:list", READER, "List the stacks of a project.", ("GET", "/stacks")),
    operation_rule(
        "stacks:list_any_project",
        ADMIN,
        "List the stacks of another project, given by project_id.",
        ("GET", "/stacks"),
    ),
    operation_rule(
        "stacks:get",
        READER_OR_HOLDER,
        "Show the settings and the usage of a stack.",
        ("GET", "/stacks/{stack}"),
    ),
    operation_rule(
        "stacks:put", MEMBER, "Create a stack or replace its settings.", ("PUT", "/stacks/{stack}")
    ),
    operation_rule(
        "stacks:delete",
        MEMBER,
        "Delete a stack and everything in it.",
        ("DELETE", "/stacks/{stack}"),
    ),
    operation_rule(
        "context:get",
        READER_OR_HOLDER,
        "Read the facts and members of a stack as one document.",
        ("GET", "/stacks/{stack}/context"),
        ("HEAD", "/stacks/{stack}/context"),
    ),
    operation_rule(
        "events:get", READER_OR_HOLDER, "Watch a stack.", ("GET", "/stacks/{stack}/events")
    ),
    operation_rule("events:list", READER, "Watch the stacks of a project.", ("GET", "/events")),
    operation_rule(
        "events:list_any_project",
        ADMIN,
        "Watch the stacks of another project, given by project_id, or those of all projects.",
        ("GET", "/events"),
    ),
    operation_rule(
        "stacks:convergence",
        READER_OR_HOLDER,
        "Show which members have applied the current state of a stack, or wait for all members.",
        ("GET", "/stacks/{stack}/convergence"),
    ),
]
