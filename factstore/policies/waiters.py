"""Rules for waiters."""

from __future__ import annotations

from factstore.policies.base import MEMBER, READER, documented

LIST = "contextualization:waiters:list"
GET = "contextualization:waiters:get"
PUT = "contextualization:waiters:put"
DELETE = "contextualization:waiters:delete"
SIGNAL = "contextualization:waiters:signal"

_WAITER = "/stacks/{stack}/waiters/{waiter}"

RULES = [
    documented(
        "waiters:list", READER, "List a stack's waiters.", ("GET", "/stacks/{stack}/waiters")
    ),
    documented(
        "waiters:get", READER, "Read a waiter and its signals, or wait for it.", ("GET", _WAITER)
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
        MEMBER,
        "Signal success or failure to a waiter.",
        ("POST", f"{_WAITER}/signal"),
        ("PUT", f"{_WAITER}/signal"),
    ),
]
