"""Rules for waiters."""

from __future__ import annotations

from factstore.policies.base import MEMBER, MEMBER_OR_AGENT, READER_OR_HOLDER, documented

LIST = "contextualization:waiters:list"
GET = "contextualization:waiters:get"
PUT = "contextualization:waiters:put"
DELETE = "contextualization:waiters:delete"
SIGNAL = "contextualization:waiters:signal"

_WAITER = "/stacks/{stack}/waiters/{waiter}"

RULES = [
    documented(
        "waiters:list",
        READER_OR_HOLDER,
        "List a stack's waiters.",
        ("GET", "/stacks/{stack}/waiters"),
    ),
    documented(
        "waiters:get",
        READER_OR_HOLDER,
        "Read a waiter and its signals, or wait for it.",
        ("GET", _WAITER),
    ),
    documented(
        "waiters:put",
        MEMBER,
        "Arm a waiter; the first one creates the stack.",
        ("PUT", _WAITER),
    ),
    documented("waiters:delete", MEMBER, "Remove a waiter and its signals.", ("DELETE", _WAITER)),
    documented(
        "waiters:signal",
        MEMBER_OR_AGENT,
        "Signal success or failure to a waiter.",
        ("POST", f"{_WAITER}/signal"),
        ("PUT", f"{_WAITER}/signal"),
    ),
]
