"""Rules for turns."""

from __future__ import annotations

from factstore.policies.base import MEMBER_OR_AGENT, READER_OR_HOLDER, operation_rule

LIST = "contextualization:turns:list"
GET = "contextualization:turns:get"
PUT = "contextualization:turns:put"
DELETE = "contextualization:turns:delete"

_TURNS = "/stacks/{stack}/turns"
_ITEM = f"{_TURNS}/{{queue}}/{{member}}"

RULES = [
    operation_rule(
        "turns:list",
        READER_OR_HOLDER,
        "List the turns of a stack, or of one queue.",
        ("GET", _TURNS),
        ("GET", f"{_TURNS}/{{queue}}"),
    ),
    operation_rule(
        "turns:get", READER_OR_HOLDER, "Show the turn of a member in a queue.", ("GET", _ITEM)
    ),
    operation_rule(
        "turns:put",
        MEMBER_OR_AGENT,
        "Take a turn in a queue for a member. Holders of grants can only take turns for their own "
        "member.",
        ("PUT", _ITEM),
    ),
    operation_rule(
        "turns:delete",
        MEMBER_OR_AGENT,
        "Give back the turn of a member. Holders of grants can only give back turns of their own "
        "member.",
        ("DELETE", _ITEM),
    ),
]
