"""The page about ``openstack fact`` matches the commands, and the commands cover the API."""

from __future__ import annotations

import re

from tests.docs.openstack_commands import PAGE, commands, page
from tests.structure.application import operations

STACK = "/v1/stacks/{stack}"
MEMBER = f"{STACK}/members/{{member}}"
SUBSCRIPTION = "/v1/subscriptions/{subscription}"
CONFIGURATIONS = f"{STACK}/configurations"
CONFIGURATION = f"{CONFIGURATIONS}/{{member}}/{{configuration}}"
ACTIONS = f"{STACK}/actions"
ACTION = f"{ACTIONS}/{{action}}"
TURN = f"{STACK}/turns/{{queue}}/{{member}}"

COMMANDS = {
    "GET /v1/limits": "fact limits show",
    "GET /v1/subscriptions": "fact subscription list",
    "POST /v1/subscriptions": "fact subscription create",
    f"GET {SUBSCRIPTION}": "fact subscription show",
    f"PATCH {SUBSCRIPTION}": "fact subscription set",
    f"DELETE {SUBSCRIPTION}": "fact subscription delete",
    f"POST {SUBSCRIPTION}/confirm": "fact subscription confirm",
    f"POST {SUBSCRIPTION}/test": "fact subscription test",
    f"POST {SUBSCRIPTION}/replay": "fact subscription replay",
    f"POST {SUBSCRIPTION}/rotate": "fact subscription rotate",
    f"GET {SUBSCRIPTION}/deliveries": "fact subscription delivery list",
    "GET /v1/stacks": "fact stack list",
    f"GET {STACK}": "fact stack show",
    f"PUT {STACK}": "fact stack create",
    f"DELETE {STACK}": "fact stack delete",
    f"GET {ACTIONS}": "fact action list",
    f"POST {ACTIONS}": "fact action run",
    f"GET {ACTION}": "fact action show",
    f"DELETE {ACTION}": "fact action delete",
    f"POST {ACTION}/cancel": "fact action cancel",
    f"GET {ACTION}/results": "fact action show",
    f"GET {STACK}/alarms": "fact alarm list",
    f"GET {STACK}/alarms/{{alarm}}": "fact alarm show",
    f"PUT {STACK}/alarms/{{alarm}}": "fact alarm set",
    f"DELETE {STACK}/alarms/{{alarm}}": "fact alarm delete",
    f"POST {STACK}/batch": "fact batch",
    f"GET {CONFIGURATIONS}": "fact config list",
    f"GET {CONFIGURATIONS}/{{member}}": "fact config list",
    f"GET {CONFIGURATION}": "fact config show",
    f"PUT {CONFIGURATION}": "fact config set",
    f"DELETE {CONFIGURATION}": "fact config delete",
    f"GET {STACK}/context": "fact context show",
    f"GET {STACK}/history/{{path}}": "fact history",
    f"GET {STACK}/diff": "fact diff",
    f"GET {STACK}/convergence": "fact convergence show",
    f"GET {STACK}/waits": "fact stuck",
    f"GET {STACK}/events": "fact watch",
    "GET /v1/events": "fact watch",
    f"GET {STACK}/facts": "fact list",
    f"GET {STACK}/facts/{{path}}": "fact get",
    f"PUT {STACK}/facts/{{path}}": "fact set",
    f"DELETE {STACK}/facts/{{path}}": "fact delete",
    f"GET {STACK}/grants": "fact grant list",
    f"POST {STACK}/grants": "fact grant create",
    f"GET {STACK}/grants/{{grant}}": "fact grant show",
    f"DELETE {STACK}/grants/{{grant}}": "fact grant delete",
    f"POST {STACK}/grants/{{grant}}/renew": "fact grant renew",
    f"GET {STACK}/members": "fact member list",
    f"GET {MEMBER}": "fact member show",
    f"GET {MEMBER}/heartbeat": "fact member show",
    f"PUT {MEMBER}": "fact member create",
    f"PATCH {MEMBER}": "fact member set",
    f"DELETE {MEMBER}": "fact member delete",
    f"GET {MEMBER}/why": "fact why",
    f"GET {MEMBER}/read_set": "fact read set show",
    f"PUT {MEMBER}/read_set": "fact read set create",
    f"DELETE {MEMBER}/read_set": "fact read set delete",
    f"GET {STACK}/turns": "fact turn list",
    f"GET {STACK}/turns/{{queue}}": "fact turn list",
    f"DELETE {TURN}": "fact turn delete",
    f"GET {STACK}/waiters": "fact waiter list",
    f"GET {STACK}/waiters/{{waiter}}": "fact waiter show",
    f"PUT {STACK}/waiters/{{waiter}}": "fact waiter create",
    f"DELETE {STACK}/waiters/{{waiter}}": "fact waiter delete",
    f"POST {STACK}/waiters/{{waiter}}/signal": "fact waiter signal",
}
"""The command for each operation."""

WITHOUT = {
    f"POST {MEMBER}/heartbeat": "a command ends at once, but a member sends heartbeats forever",
    f"PUT {CONFIGURATION}/result": "factstore-agent reports results",
    f"GET {ACTION}/results/{{member}}": "fact action show shows all results",
    f"PUT {ACTION}/results/{{member}}": "factstore-agent reports results",
    f"GET {MEMBER}/actions": "factstore-agent waits for its actions",
    f"POST {CONFIGURATION}/signal": "heat-config-notify reports results",
    f"PUT {CONFIGURATION}/signal": "heat-config-notify reports results",
    f"GET {TURN}": "fact turn list shows all turns",
    f"PUT {TURN}": "a turn ends with the process that takes it; factstore-agent takes turns",
    f"PUT {STACK}/waiters/{{waiter}}/signal": "the same as POST, for clients of Heat",
    "GET /": "openstack versions show reads it",
    "GET /v1": "openstack versions show reads it",
    "GET /v1/": "openstack versions show reads it",
    "GET /v1/openapi.json": "a document for programs",
    "GET /v1/agent": "a file for instances, which download it with curl",
    "POST /v1/vendordata": "Nova calls it",
}
"""The operations without a command, and why."""


def test_the_page_is_that_of_the_parsers() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.docs.openstack_commands"


def test_every_operation_has_a_command_or_a_reason() -> None:
    known = {f"{method} {path}" for method, path in operations() if method != "HEAD"}
    assert COMMANDS.keys() | WITHOUT.keys() == known
    assert set(COMMANDS.values()) <= commands().keys()


def test_help_is_complete_and_in_the_form_of_openstackclient() -> None:
    for text in re.findall(r"^\.\. option:: .*\n\n   (.*)", PAGE.read_text(), re.MULTILINE):
        assert text[0].isupper() or text[0].isdigit() or text.startswith("agent"), text
    for option in re.findall(r"^\.\. option:: -\S* (.*)", PAGE.read_text(), re.MULTILINE):
        assert re.fullmatch(r"<[^ ]+>(=<[^ ]+>| <[^ ]+>)?|--format \{\S+\}", option), option
