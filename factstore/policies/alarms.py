"""Rules for alarms."""

from __future__ import annotations

from factstore.policies.base import MEMBER, READER_OR_HOLDER, operation_rule

LIST = "contextualization:alarms:list"
GET = "contextualization:alarms:get"
PUT = "contextualization:alarms:put"
DELETE = "contextualization:alarms:delete"

_ALARM = "/stacks/{stack}/alarms/{alarm}"

RULES = [
    operation_rule(
        "alarms:list",
        READER_OR_HOLDER,
        "List the alarms of a stack.",
        ("GET", "/stacks/{stack}/alarms"),
    ),
    operation_rule(
        "alarms:get", READER_OR_HOLDER, "Read an alarm, or wait for it.", ("GET", _ALARM)
    ),
    operation_rule(
        "alarms:put",
        MEMBER,
        "Create an alarm or change its definition. The first alarm creates the stack.",
        ("PUT", _ALARM),
    ),
    operation_rule("alarms:delete", MEMBER, "Delete an alarm.", ("DELETE", _ALARM)),
]
