"""Rules for members."""

from __future__ import annotations

from factstore.policies.base import MEMBER_OR_AGENT, READER_OR_HOLDER, documented

LIST = "contextualization:members:list"
GET = "contextualization:members:get"
PUT = "contextualization:members:put"
UPDATE = "contextualization:members:update"
DELETE = "contextualization:members:delete"
HEARTBEAT = "contextualization:members:heartbeat"

_ITEM = "/stacks/{stack}/members/{member}"

RULES = [
    documented(
        "members:list",
        READER_OR_HOLDER,
        "List a stack's members.",
        ("GET", "/stacks/{stack}/members"),
    ),
    documented("members:get", READER_OR_HOLDER, "Show a member.", ("GET", _ITEM)),
    documented(
        "members:put",
        MEMBER_OR_AGENT,
        "Join a stack, change what a member says, or (never with a grant) declare a member; the first "
        "join creates the stack.",
        ("PUT", _ITEM),
    ),
    documented(
        "members:update",
        MEMBER_OR_AGENT,
        "Say that a member is ready, or draining.",
        ("PATCH", _ITEM),
    ),
    documented("members:delete", MEMBER_OR_AGENT, "Let a member depart.", ("DELETE", _ITEM)),
    documented(
        "members:heartbeat",
        MEMBER_OR_AGENT,
        "Keep a member alive, and tell what it has applied.",
        ("POST", f"{_ITEM}/heartbeat"),
    ),
]
