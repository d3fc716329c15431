"""Rules for subscriptions."""

from __future__ import annotations

from factstore.policies.base import ADMIN, MEMBER, operation_rule

LIST = "contextualization:subscriptions:list"
LIST_ANY = "contextualization:subscriptions:list_any_project"
CREATE = "contextualization:subscriptions:create"
GET = "contextualization:subscriptions:get"
UPDATE = "contextualization:subscriptions:update"
DELETE = "contextualization:subscriptions:delete"
CONFIRM = "contextualization:subscriptions:confirm"
TEST = "contextualization:subscriptions:test"
REPLAY = "contextualization:subscriptions:replay"
ROTATE = "contextualization:subscriptions:rotate"
DELIVERIES = "contextualization:subscriptions:deliveries"

_SUBSCRIPTIONS = "/subscriptions"
_SUBSCRIPTION = f"{_SUBSCRIPTIONS}/{{subscription}}"

# A target may contain credentials, so readers of a project do not see it.
RULES = [
    operation_rule(
        "subscriptions:list",
        MEMBER,
        "List the subscriptions of a project.",
        ("GET", _SUBSCRIPTIONS),
    ),
    operation_rule(
        "subscriptions:list_any_project",
        ADMIN,
        "List the subscriptions of another project, given by project_id.",
        ("GET", _SUBSCRIPTIONS),
    ),
    operation_rule(
        "subscriptions:create", MEMBER, "Create a subscription.", ("POST", _SUBSCRIPTIONS)
    ),
    operation_rule("subscriptions:get", MEMBER, "Show a subscription.", ("GET", _SUBSCRIPTION)),
    operation_rule(
        "subscriptions:update",
        MEMBER,
        "Change, pause or resume a subscription.",
        ("PATCH", _SUBSCRIPTION),
    ),
    operation_rule(
        "subscriptions:delete", MEMBER, "Delete a subscription.", ("DELETE", _SUBSCRIPTION)
    ),
    operation_rule(
        "subscriptions:confirm",
        MEMBER,
        "Confirm a subscription with the challenge that its target received.",
        ("POST", f"{_SUBSCRIPTION}/confirm"),
    ),
    operation_rule(
        "subscriptions:test",
        MEMBER,
        "Send a test message to the target of a subscription.",
        ("POST", f"{_SUBSCRIPTION}/test"),
    ),
    operation_rule(
        "subscriptions:replay",
        MEMBER,
        "Deliver earlier events of a subscription again.",
        ("POST", f"{_SUBSCRIPTION}/replay"),
    ),
    operation_rule(
        "subscriptions:rotate",
        MEMBER,
        "Replace the secret of a subscription.",
        ("POST", f"{_SUBSCRIPTION}/rotate"),
    ),
    operation_rule(
        "subscriptions:deliveries",
        MEMBER,
        "List the last deliveries of a subscription.",
        ("GET", f"{_SUBSCRIPTION}/deliveries"),
    ),
]
