"""Rules for facts."""

from __future__ import annotations

from factstore.policies.base import MEMBER, MEMBER_OR_AGENT, READER_OR_HOLDER, operation_rule

LIST = "contextualization:facts:list"
GET = "contextualization:facts:get"
GET_SENSITIVE = "contextualization:facts:get_sensitive"
HISTORY = "contextualization:facts:history"
PUT = "contextualization:facts:put"
PUT_PARAMETER = "contextualization:facts:put_parameter"
DELETE = "contextualization:facts:delete"
BATCH = "contextualization:facts:batch"

RULES = [
    operation_rule(
        "facts:list",
        READER_OR_HOLDER,
        "List the facts of a stack.",
        ("GET", "/stacks/{stack}/facts"),
    ),
    operation_rule(
        "facts:get",
        READER_OR_HOLDER,
        "Read a fact, or wait for it.",
        ("GET", "/stacks/{stack}/facts/{path}"),
        ("HEAD", "/stacks/{stack}/facts/{path}"),
    ),
    operation_rule(
        "facts:get_sensitive",
        MEMBER,
        "Read the values of sensitive facts without being one of their readers, and put equal values "
        "without a new revision.",
        ("GET", "/stacks/{stack}/facts/{path}"),
        ("HEAD", "/stacks/{stack}/facts/{path}"),
        ("PUT", "/stacks/{stack}/facts/{path}"),
        ("POST", "/stacks/{stack}/batch"),
    ),
    operation_rule(
        "facts:history",
        READER_OR_HOLDER,
        "Read the recent changes of a fact, what differs between two cursors, or an earlier context.",
        ("GET", "/stacks/{stack}/history/{path}"),
        ("GET", "/stacks/{stack}/diff"),
    ),
    operation_rule(
        "facts:put",
        MEMBER_OR_AGENT,
        "Store a fact. The first fact creates the stack.",
        ("PUT", "/stacks/{stack}/facts/{path}"),
    ),
    operation_rule(
        "facts:put_parameter",
        MEMBER,
        "Store, change or delete a parameter, or change the kind of a fact.",
        ("PUT", "/stacks/{stack}/facts/{path}"),
        ("DELETE", "/stacks/{stack}/facts/{path}"),
        ("POST", "/stacks/{stack}/batch"),
    ),
    operation_rule(
        "facts:delete",
        MEMBER_OR_AGENT,
        "Delete a fact.",
        ("DELETE", "/stacks/{stack}/facts/{path}"),
    ),
    operation_rule(
        "facts:batch",
        MEMBER_OR_AGENT,
        "Change several facts of a stack in one revision.",
        ("POST", "/stacks/{stack}/batch"),
    ),
]
