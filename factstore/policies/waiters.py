"""Rules for waiters."""

from __future__ import annotations

from factstore.policies.base import MEMBER, MEMBER_OR_AGENT, READER_OR_HOLDER, operation_rule

LIST = "contextualization:waiters:list"
GET = "contextualization:waiters:get"
PUT = "contextualization:waiters:put"
DELETE = "contextualization:waiters:delete"
SIGNAL = "contextualization:waiters:signal"

_WAITER = "/stacks/{stack}/waiters/{waiter}"

RULES = [
    operation_rule(
        "waiters:list",
        READER_OR_HOLDER,
        "List the waiters of a stack.",
        ("GET", "/stacks/{stack}/waiters"),
    ),
    operation_rule(
        "waiters:get",
        READER_OR_HOLDER,
        "Read a waiter and its signals, or wait for it.",
        ("GET", _WAITER),
    ),
    operation_rule(
        "waiters:put",
        MEMBER,
        "Arm a waiter. The first waiter creates the stack.",
        ("PUT", _WAITER),
    ),
    operation_rule(
        "waiters:delete", MEMBER, "Delete a waiter and its signals.", ("DELETE", _WAITER)
    ),
    operation_rule(
        "waiters:signal",
        MEMBER_OR_AGENT,
        "Signal success or failure to a waiter.",
        ("POST", f"{_WAITER}/signal"),
        ("PUT", f"{_WAITER}/signal"),
    ),
]
