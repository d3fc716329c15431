"""Rules for members."""

from __future__ import annotations

from factstore.policies.base import MEMBER_OR_AGENT, READER_OR_HOLDER, operation_rule

LIST = "contextualization:members:list"
GET = "contextualization:members:get"
PUT = "contextualization:members:put"
UPDATE = "contextualization:members:update"
DELETE = "contextualization:members:delete"
WHY = "contextualization:members:why"
HEARTBEAT = "contextualization:members:heartbeat"

_ITEM = "/stacks/{stack}/members/{member}"

RULES = [
    operation_rule(
        "members:list",
        READER_OR_HOLDER,
        "List the members of a stack.",
        ("GET", "/stacks/{stack}/members"),
    ),
    operation_rule(
        "members:get",
        READER_OR_HOLDER,
        "Show a member, or the age of its last heartbeat.",
        ("GET", _ITEM),
        ("GET", f"{_ITEM}/heartbeat"),
    ),
    operation_rule(
        "members:why",
        READER_OR_HOLDER,
        "Show which change made a member run last, and what that change followed from.",
        ("GET", f"{_ITEM}/why"),
    ),
    operation_rule(
        "members:put",
        MEMBER_OR_AGENT,
        "Join a stack, change a member's group and attributes, or declare a member. The first join "
        "creates the stack. Holders of grants cannot declare members.",
        ("PUT", _ITEM),
    ),
    operation_rule(
        "members:update",
        MEMBER_OR_AGENT,
        "Set the state of a member to ready or draining.",
        ("PATCH", _ITEM),
    ),
    operation_rule("members:delete", MEMBER_OR_AGENT, "Remove a member.", ("DELETE", _ITEM)),
    operation_rule(
        "members:heartbeat",
        MEMBER_OR_AGENT,
        "Send a heartbeat for a member, with the cursor that it has applied.",
        ("POST", f"{_ITEM}/heartbeat"),
    ),
]
