"""Rules for actions."""

from __future__ import annotations

from factstore.policies.base import (
    MEMBER,
    MEMBER_OR_AGENT,
    READER,
    READER_OR_HOLDER,
    operation_rule,
)

LIST = "contextualization:actions:list"
GET = "contextualization:actions:get"
CREATE = "contextualization:actions:create"
CANCEL = "contextualization:actions:cancel"
DELETE = "contextualization:actions:delete"
REPORT = "contextualization:actions:report"

_ACTIONS = "/stacks/{stack}/actions"
_ITEM = f"{_ACTIONS}/{{action}}"
_RESULT = f"{_ITEM}/results/{{member}}"

RULES = [
    operation_rule("actions:list", READER, "List the actions of a stack.", ("GET", _ACTIONS)),
    operation_rule(
        "actions:get",
        READER_OR_HOLDER,
        "Show an action, its results, and the actions that a member is to run. Holders of grants can "
        "only show the actions and the results of their own member.",
        ("GET", _ITEM),
        ("GET", f"{_ITEM}/results"),
        ("GET", _RESULT),
        ("GET", "/stacks/{stack}/members/{member}/actions"),
    ),
    operation_rule(
        "actions:create", MEMBER, "Run an action on members of a stack.", ("POST", _ACTIONS)
    ),
    operation_rule("actions:cancel", MEMBER, "Cancel an action.", ("POST", f"{_ITEM}/cancel")),
    operation_rule(
        "actions:delete", MEMBER, "Delete an action with its results.", ("DELETE", _ITEM)
    ),
    operation_rule(
        "actions:report",
        MEMBER_OR_AGENT,
        "Report the progress or the result of a member's run. Holders of grants can only report for "
        "their own member.",
        ("PUT", _RESULT),
    ),
]
