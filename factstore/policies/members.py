"""Rules for members."""

from __future__ import annotations

from factstore.policies.base import MEMBER, READER, documented

LIST = "contextualization:members:list"
GET = "contextualization:members:get"
PUT = "contextualization:members:put"
UPDATE = "contextualization:members:update"
DELETE = "contextualization:members:delete"
HEARTBEAT = "contextualization:members:heartbeat"

_ITEM = "/stacks/{stack}/members/{member}"

RULES = [
    documented(
        "members:list", READER, "List a stack's members.", ("GET", "/stacks/{stack}/members")
    ),
    documented("members:get", READER, "Show a member.", ("GET", _ITEM)),
    documented(
        "members:put",
        MEMBER,
        "Join a stack, or change what a member says; the first join creates the stack.",
        ("PUT", _ITEM),
    ),
    documented(
        "members:update", MEMBER, "Say that a member is ready, or draining.", ("PATCH", _ITEM)
    ),
    documented("members:delete", MEMBER, "Let a member depart.", ("DELETE", _ITEM)),
    documented(
        "members:heartbeat",
        MEMBER,
        "Keep a member alive, and tell what it has applied.",
        ("POST", f"{_ITEM}/heartbeat"),
    ),
]
