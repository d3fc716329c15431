"""Rules for configurations."""

from __future__ import annotations

from factstore.policies.base import MEMBER, MEMBER_OR_AGENT, READER_OR_HOLDER, operation_rule

LIST = "contextualization:configurations:list"
GET = "contextualization:configurations:get"
PUT = "contextualization:configurations:put"
DELETE = "contextualization:configurations:delete"
REPORT = "contextualization:configurations:report"

_CONFIGURATIONS = "/stacks/{stack}/configurations"
_ITEM = f"{_CONFIGURATIONS}/{{member}}/{{configuration}}"

RULES = [
    operation_rule(
        "configurations:list",
        READER_OR_HOLDER,
        "List the configurations of a stack, or of one member. Holders of grants see only those of "
        "their own member.",
        ("GET", _CONFIGURATIONS),
        ("GET", f"{_CONFIGURATIONS}/{{member}}"),
    ),
    operation_rule(
        "configurations:get",
        READER_OR_HOLDER,
        "Show a configuration with its result. Holders of grants can only show those of their own "
        "member.",
        ("GET", _ITEM),
    ),
    operation_rule(
        "configurations:put",
        MEMBER,
        "Create a configuration or change its definition. The first one creates the stack.",
        ("PUT", _ITEM),
    ),
    operation_rule(
        "configurations:delete", MEMBER, "Delete a configuration and its result.", ("DELETE", _ITEM)
    ),
    operation_rule(
        "configurations:report",
        MEMBER_OR_AGENT,
        "Report the progress or the result of a configuration. Holders of grants can only report for "
        "their own member.",
        ("PUT", f"{_ITEM}/result"),
        ("POST", f"{_ITEM}/signal"),
        ("PUT", f"{_ITEM}/signal"),
    ),
]
