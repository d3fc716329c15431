"""The policy: every operation, and the answer to every kind of caller, as one table.

A new route needs a row here and nothing else: the tests take the rows from :data:`ROWS`.  A new noun
also needs its name in :data:`NAMES` and, if there is something to read or delete, a line in
:data:`RECORDS`.
"""

from __future__ import annotations

from typing import Any

from factstore.api import docs_ui
from tests.keystone.policy_kinds import Grants, Row, Tokens

NAMES = {
    "path": "a",
    "member": "a",
    "waiter": "w",
    "alarm": "w",
    "configuration": "w",
    "queue": "q",
    "action": "0" * 32,
    "subscription": "0" * 32,
}
"""The names in templates, apart from stack and grant."""

RECORDS: dict[str, Any] = {
    "waiters/w": {"success": {"signals": 9}},
    "alarms/w": {"condition": {"facts": "none", "present": True}},
    "configurations/a/w": {"group": "script"},
    "turns/q/a": {},
    "members/a/read_set": {"facts": ["nodes/"]},
}
"""The contents of a stack beside facts, members and grants: the path and the body of each PUT."""

FACTS = {
    "a": "observed",
    "configs/a/x": "observed",
    "configs/ab/x": "observed",
    "configs/b/x": "observed",
    "nodes/a/p": "parameter",
    "nodes/a/x": "observed",
    "nodes/b/x": "observed",
    "results/a/x": "observed",
    "results/b/x": "observed",
}
"""Paths and kinds."""

OTHERS = ("new", "nodes/x", "nodes/ab/x", "results/x", "configs/a/x", "configs/b/x", "nodes/c/x")
"""Paths that neither the agent of a nor that of b may write."""

STACKS = "/v1/stacks"
STACK = f"{STACKS}/{{stack}}"
FACTS_OF = f"{STACK}/facts"
FACT = f"{FACTS_OF}/{{path}}"
BATCH = f"{STACK}/batch"
MEMBERS = f"{STACK}/members"
MEMBER = f"{MEMBERS}/{{member}}"
READ_SET = f"{MEMBER}/read_set"
WAITERS = f"{STACK}/waiters"
WAITER = f"{WAITERS}/{{waiter}}"
ALARMS = f"{STACK}/alarms"
ALARM = f"{ALARMS}/{{alarm}}"
CONFIGURATIONS = f"{STACK}/configurations"
CONFIGURATION = f"{CONFIGURATIONS}/{{member}}/{{configuration}}"
ACTIONS = f"{STACK}/actions"
ACTION = f"{ACTIONS}/{{action}}"
ACTION_RESULT = f"{ACTION}/results/{{member}}"
TURNS = f"{STACK}/turns"
TURN = f"{TURNS}/{{queue}}/{{member}}"
GRANTS = f"{STACK}/grants"
GRANT = f"{GRANTS}/{{grant}}"
SUBSCRIPTIONS = "/v1/subscriptions"
SUBSCRIPTION = f"{SUBSCRIPTIONS}/{{subscription}}"
LISTENER = {"target": "zaqar:?queue_name=events"}
CURSOR = "0123456789abcdef.1"
"""Stands for a cursor of the store in the body of a request."""

TWO = {"value": 2}
PARAMETER = {"value": 2, "kind": "parameter"}
PROJECT = "?project_id={project}"
READ_ONLY = {"role": "reader"}
ALARM_OF_A = {"condition": {"facts": "a", "equals": "none"}, "quiet": 60}
WAIT_FOR_A = {"success": {"facts": "a", "present": True}, "timeout": 60}

SERVER = {"project-id": "p", "instance-id": "i", "metadata": {}}
"""A server that Nova asks about, and that is not to become a member."""

ENDED = {"id": "of a former definition", "state": "complete"}
SIGNAL_OF_HOOK = {"deploy_status_code": 0}
"""A result that its holder may report, and that comes too late."""

ACTION_OF_A = {"hook": "script", "member": "a"}

UNDECLARED = {"declared": None, "reason": None}


def _put(path: str, **more: Any) -> dict[str, Any]:
    return {"put": {"path": path, "value": 2, **more}}


def _delete(path: str) -> dict[str, Any]:
    return {"delete": {"path": path}}


def _batch(*operations: dict[str, Any], guard: str = "") -> dict[str, Any]:
    guards = {"guards": [{"path": guard, "exists": True}]} if guard else {}
    return {**guards, "operations": list(operations)}


DELETE_X = _delete("nodes/a/x")

ENROLLING = (
    {"member": "new"},
    {"member": "new", "group": "g", "ttl": 60},
    {"member": "e"},
)
"""Bodies of requests with the grant of group g."""

NOT_ENROLLING = (
    {"member": "a"},  # has a grant that the owner issued
    {"member": "h"},  # lives in another group
    {"member": "new", "group": "other"},
    {"member": "new", "role": "reader"},
    {"member": "new", "ttl": 366 * 24 * 3600},
    {"group": "g"},
)

PUBLIC = (
    *("/", "/v1", "/v1/", "/v1/agent", "/v1/openapi.json"),
    *("/healthcheck", "/healthcheck/live", "/metrics"),
    *sorted(docs_ui.PATHS),
)

ROWS = [
    *(Row("GET", path, Tokens.PUBLIC, Grants.PUBLIC) for path in PUBLIC),
    Row("GET", "/v1/limits", Tokens.READ_OWN, Grants.OWNERS),
    Row("GET", "/v1/limits", Tokens.READ_ANY, Grants.OWNERS, query=PROJECT),
    Row("POST", "/v1/vendordata", Tokens.SERVICE, Grants.OWNERS, body=SERVER),
    Row("GET", STACKS, Tokens.READ_OWN, Grants.OWNERS),
    Row("GET", STACKS, Tokens.READ_ANY, Grants.OWNERS, query=PROJECT),
    Row("GET", STACK, Tokens.READ, Grants.READ),
    Row("PUT", STACK, Tokens.WRITE, Grants.OWNERS, body={"description": "x"}),
    Row("DELETE", STACK, Tokens.REMOVE, Grants.OWNERS, done=204),
    Row("GET", FACTS_OF, Tokens.READ, Grants.READ),
    Row("GET", FACTS_OF, Tokens.READ, Grants.READ, query="?prefix=configs/a"),
    Row("GET", FACT, Tokens.READ, Grants.READ),
    *(Row("GET", FACT, None, Grants.READ, path=f"nodes/{member}/x") for member in "ab"),
    Row("GET", FACT, Tokens.READ, Grants.READ, query="?format=raw"),
    Row("GET", FACT, None, Grants.OWN_A, path="configs/a/x"),
    Row("HEAD", FACT, Tokens.READ, Grants.READ),
    Row("HEAD", FACT, None, Grants.OWN_A, path="configs/a/x"),
    *(
        Row("GET", FACT, None, Grants.OWNERS, path=f"configs/{at}")
        for at in ("ab/x", "a", "none/x")
    ),
    Row("PUT", FACT, Tokens.WRITE, Grants.OWNERS, body=TWO),
    Row("PUT", FACT, Tokens.WRITE, None, body=PARAMETER),
    Row("PUT", FACT, None, Grants.OWN_A, path="nodes/a/x", body=TWO),
    Row("PUT", FACT, None, Grants.OWN_A, path="nodes/a/new", body=TWO, done=201),
    Row("PUT", FACT, None, Grants.OWN_A, path="results/a/x", body=TWO),
    Row("PUT", FACT, None, Grants.OWN_A, path="nodes/a/x", body={"value": 1, "member": "a"}),
    Row("PUT", FACT, None, Grants.OWNERS, path="nodes/a/x", body={"value": 1, "member": "b"}),
    Row("PUT", FACT, None, Grants.OWN_B, path="nodes/b/x", body=TWO),
    Row("PUT", FACT, None, Grants.PARAMETER_A, path="nodes/a/x", body=PARAMETER),
    Row("PUT", FACT, None, Grants.PARAMETER_A, path="nodes/a/new", body=PARAMETER),
    Row("PUT", FACT, None, Grants.PARAMETER_A, path="nodes/a/p", body=TWO),
    *(Row("PUT", FACT, None, Grants.OWNERS, path=path, body=TWO) for path in OTHERS),
    Row("DELETE", FACT, Tokens.REMOVE, Grants.OWNERS, done=204),
    Row("DELETE", FACT, None, Grants.OWN_A, path="nodes/a/x", done=204),
    Row("DELETE", FACT, None, Grants.OWN_A, path="results/a/x", done=204),
    Row("DELETE", FACT, None, Grants.OWN_B, path="results/b/x", done=204),
    Row("DELETE", FACT, None, Grants.PARAMETER_A, path="nodes/a/p"),
    *(Row("DELETE", FACT, None, Grants.OWNERS, path=path) for path in OTHERS),
    Row("POST", BATCH, Tokens.WRITE, None, body=_batch(_put("a")), made=200),
    Row("POST", BATCH, Tokens.REMOVE, None, body=_batch(_delete("a"))),
    Row("POST", BATCH, Tokens.WRITE, None, query="?dry_run=true", body=_batch(_put("a")), made=200),
    *(
        Row("POST", BATCH, None, kind, body=body)
        for kind, body in (
            (Grants.OWN_A, _batch(_put("nodes/a/y"), DELETE_X)),
            (Grants.OWN_A, _batch(_put("nodes/a/y"), guard="nodes/b/x")),
            (Grants.OWN_A, _batch(DELETE_X, guard="configs/a/x")),
            (Grants.OWNERS, _batch(DELETE_X, guard="configs/ab/x")),
            (Grants.OWNERS, _batch(_put("nodes/a/y"), _put("nodes/b/y"))),
            (Grants.OWNERS, _batch(_put("nodes/a/y", member="b"))),
            (Grants.OWNERS, _batch(DELETE_X, _delete("a"))),
            (Grants.PARAMETER_A, _batch(_put("nodes/a/y", kind="parameter"))),
            (Grants.PARAMETER_A, _batch(_delete("nodes/a/p"))),
            (Grants.OWN_E, _batch(_put("nodes/e/y", member="e"))),
        )
    ),
    *(
        Row("POST", BATCH, None, kind, query="?dry_run=true", body=body)
        for kind, body in (
            (Grants.OWN_A, _batch(_put("nodes/a/y"), DELETE_X)),
            (Grants.OWN_A, _batch(DELETE_X, guard="configs/a/x")),
            (Grants.OWNERS, _batch(DELETE_X, guard="configs/ab/x")),
            (Grants.OWNERS, _batch(DELETE_X, _delete("a"))),
            (Grants.PARAMETER_A, _batch(_delete("nodes/a/p"))),
        )
    ),
    Row("PUT", FACT, None, Grants.OWN_E, path="nodes/e/x", body=TWO, done=201),
    Row("GET", MEMBERS, Tokens.READ, Grants.READ),
    Row("GET", MEMBERS, Tokens.READ, Grants.READ, query="?group=g"),
    Row("GET", MEMBERS, Tokens.READ, Grants.READ, query="?declared=heat:1"),
    Row("GET", MEMBER, Tokens.READ, Grants.READ),
    Row("PUT", MEMBER, Tokens.WRITE, Grants.OWN_A, body={"group": "g"}, done=201),
    Row("PUT", MEMBER, None, Grants.OWNERS, body={"group": "other"}),
    Row("PUT", MEMBER, None, Grants.OWN_B, body={"group": "any"}, done=201, member="b"),
    Row("PUT", MEMBER, None, Grants.OWNERS, body={"group": "g"}, member="new"),
    Row("PUT", MEMBER, None, Grants.OWN_A, body={"group": "g", **UNDECLARED}, done=201),
    Row("PUT", MEMBER, None, Grants.OWNERS, body={"group": "g", "declared": "heat:1"}),
    Row("PUT", MEMBER, None, Grants.OWNERS, body={"group": "g", "reason": "scaled_out"}),
    Row("PUT", MEMBER, None, Grants.OWN_E, body={"group": "g"}, done=201, member="e"),
    Row("PUT", MEMBER, None, Grants.OWNERS, body={"group": "other"}, member="e"),
    Row("PATCH", MEMBER, Tokens.REMOVE, Grants.OWN_A, body={"state": "ready"}),
    Row("PATCH", MEMBER, None, Grants.OWN_B, body={"state": "ready"}, member="b"),
    Row("DELETE", MEMBER, Tokens.REMOVE, Grants.OWN_A, done=204),
    Row("DELETE", MEMBER, None, Grants.OWN_B, done=204, member="b"),
    Row("DELETE", MEMBER, None, Grants.OWNERS, query="?declared=heat:1"),
    Row("DELETE", MEMBER, None, Grants.OWN_A, query="?reason=scaled_in", done=204),
    Row("GET", f"{MEMBER}/heartbeat", Tokens.READ, Grants.READ),
    Row("POST", f"{MEMBER}/heartbeat", Tokens.REMOVE, Grants.OWN_A, done=204),
    Row("POST", f"{MEMBER}/heartbeat", None, Grants.OWN_B, done=204, member="b"),
    Row("POST", f"{MEMBER}/heartbeat", None, Grants.OWN_E, done=204, member="e"),
    Row("GET", READ_SET, Tokens.READ, Grants.READ),
    Row("PUT", READ_SET, Tokens.REMOVE, Grants.OWN_A, body={"facts": ["a"]}),
    Row("PUT", READ_SET, None, Grants.OWN_B, body={"facts": ["a"]}, done=201, member="b"),
    Row("DELETE", READ_SET, Tokens.REMOVE, Grants.OWN_A, done=204),
    Row("GET", MEMBERS, None, Grants.READ, query="?reads=nodes/a/x"),
    Row("GET", f"{STACK}/history/{{path}}", Tokens.READ, Grants.READ),
    Row("GET", f"{STACK}/history/{{path}}", None, Grants.OWN_A, path="configs/a/x"),
    Row("GET", f"{STACK}/diff", Tokens.READ, Grants.READ, query=f"?since={CURSOR}", done=410),
    Row("GET", f"{STACK}/convergence", Tokens.READ, Grants.READ),
    Row("GET", f"{STACK}/waits", Tokens.READ, Grants.READ),
    Row("GET", f"{MEMBER}/why", Tokens.READ, Grants.READ),
    Row("GET", f"{STACK}/events", Tokens.READ, Grants.READ),
    Row("GET", "/v1/events", Tokens.READ_OWN, Grants.OWNERS),
    Row("GET", "/v1/events", Tokens.READ_ANY, Grants.OWNERS, query=PROJECT),
    Row("GET", "/v1/events", Tokens.ADMIN, Grants.OWNERS, query="?all_projects=true"),
    Row("GET", f"{STACK}/context", Tokens.READ, Grants.READ),
    Row("GET", f"{STACK}/context", None, Grants.READ, query="?member=b&include=results"),
    Row("HEAD", f"{STACK}/context", Tokens.READ, Grants.READ),
    Row("GET", WAITERS, Tokens.READ, Grants.READ),
    Row("GET", WAITER, Tokens.READ, Grants.READ),
    Row("PUT", WAITER, Tokens.WRITE, Grants.OWNERS, body=WAIT_FOR_A),
    Row("DELETE", WAITER, Tokens.REMOVE, Grants.OWNERS, done=204),
    Row("POST", f"{WAITER}/signal", Tokens.REMOVE, Grants.SIGNAL, body={"status": "SUCCESS"}),
    Row("PUT", f"{WAITER}/signal", Tokens.REMOVE, Grants.SIGNAL, body={"Status": "SUCCESS"}),
    Row("GET", ALARMS, Tokens.READ, Grants.READ),
    Row("GET", ALARM, Tokens.READ, Grants.READ),
    Row("PUT", ALARM, Tokens.WRITE, Grants.OWNERS, body=ALARM_OF_A),
    Row("DELETE", ALARM, Tokens.REMOVE, Grants.OWNERS, done=204),
    Row("GET", CONFIGURATIONS, Tokens.READ, Grants.READ),
    Row("GET", f"{CONFIGURATIONS}/{{member}}", Tokens.READ, Grants.READ),
    Row("GET", CONFIGURATION, Tokens.READ, Grants.OWN_A),
    Row("PUT", CONFIGURATION, Tokens.WRITE, Grants.OWNERS, body={"group": "script"}),
    Row("DELETE", CONFIGURATION, Tokens.REMOVE, Grants.OWNERS, done=204),
    Row("PUT", f"{CONFIGURATION}/result", Tokens.REMOVE, Grants.OWN_A, body=ENDED, done=409),
    Row("POST", f"{CONFIGURATION}/signal", Tokens.REMOVE, Grants.OWN_A, body=SIGNAL_OF_HOOK),
    Row("PUT", f"{CONFIGURATION}/signal", Tokens.REMOVE, Grants.OWN_A, body=SIGNAL_OF_HOOK),
    Row("GET", ACTIONS, Tokens.READ, Grants.OWNERS),
    Row("POST", ACTIONS, Tokens.REMOVE, Grants.OWNERS, body=ACTION_OF_A, done=201),
    Row("GET", ACTION, Tokens.READ, Grants.OWN_A),
    Row("DELETE", ACTION, Tokens.REMOVE, Grants.OWNERS, done=204),
    Row("POST", f"{ACTION}/cancel", Tokens.REMOVE, Grants.OWNERS, body={}),
    Row("GET", f"{ACTION}/results", Tokens.READ, Grants.OWN_A),
    Row("GET", ACTION_RESULT, Tokens.READ, Grants.OWN_A),
    Row("PUT", ACTION_RESULT, Tokens.REMOVE, Grants.OWN_A, body={"state": "in_progress"}),
    Row("GET", f"{MEMBER}/actions", Tokens.READ, Grants.OWN_A),
    Row("GET", f"{MEMBER}/actions", None, Grants.OWN_B, member="b"),
    Row("GET", TURNS, Tokens.READ, Grants.READ),
    Row("GET", f"{TURNS}/{{queue}}", Tokens.READ, Grants.READ),
    Row("GET", TURN, Tokens.READ, Grants.READ),
    Row("PUT", TURN, Tokens.REMOVE, Grants.OWN_A),
    Row("PUT", TURN, None, Grants.OWN_B, body={}, done=201, member="b"),
    Row("PUT", TURN, None, Grants.OWN_E, body={}, done=201, member="e"),
    Row("DELETE", TURN, Tokens.REMOVE, Grants.OWN_A, done=204),
    Row("GET", GRANTS, Tokens.REMOVE, Grants.OWNERS),
    Row("POST", GRANTS, Tokens.WRITE, Grants.OWNERS, body=READ_ONLY, done=201),
    *(Row("POST", GRANTS, None, Grants.GROUP, body=body, done=201) for body in ENROLLING),
    *(Row("POST", GRANTS, None, Grants.OWNERS, body=body) for body in NOT_ENROLLING),
    Row("GET", GRANT, Tokens.REMOVE, Grants.OWN_A),
    Row("GET", GRANT, None, Grants.GROUP, grant="group"),
    Row("GET", GRANT, None, Grants.OWN_E, grant="enrolled"),
    Row("POST", f"{GRANT}/renew", Tokens.REMOVE, Grants.OWN_A),
    Row("POST", f"{GRANT}/renew", None, Grants.GROUP, grant="group"),
    Row("POST", f"{GRANT}/renew", None, Grants.OWN_E, grant="enrolled"),
    Row("DELETE", GRANT, Tokens.REMOVE, Grants.OWN_A, done=204),
    Row("DELETE", GRANT, None, Grants.OWNERS, grant="group"),
    Row("DELETE", GRANT, None, Grants.OWN_E, done=204, grant="enrolled"),
    Row("GET", SUBSCRIPTIONS, Tokens.MEMBER_OWN, Grants.OWNERS),
    Row("GET", SUBSCRIPTIONS, Tokens.MEMBER_ANY, Grants.OWNERS, query=PROJECT),
    Row("POST", SUBSCRIPTIONS, Tokens.MEMBER_OWN, Grants.OWNERS, body=LISTENER, done=201),
    Row("GET", SUBSCRIPTION, Tokens.REMOVE, Grants.OWNERS),
    Row("PATCH", SUBSCRIPTION, Tokens.REMOVE, Grants.OWNERS, body={"name": "x"}),
    Row("POST", f"{SUBSCRIPTION}/confirm", Tokens.REMOVE, Grants.OWNERS, body={"challenge": "x"}),
    Row("POST", f"{SUBSCRIPTION}/test", Tokens.REMOVE, Grants.OWNERS, done=202),
    Row("POST", f"{SUBSCRIPTION}/replay", Tokens.REMOVE, Grants.OWNERS, body={"since": CURSOR}),
    Row("POST", f"{SUBSCRIPTION}/rotate", Tokens.REMOVE, Grants.OWNERS),
    Row("GET", f"{SUBSCRIPTION}/deliveries", Tokens.REMOVE, Grants.OWNERS),
    Row("DELETE", SUBSCRIPTION, Tokens.REMOVE, Grants.OWNERS, done=204),
]
TOKEN_ROWS = [row for row in ROWS if row.tokens]
GRANT_ROWS = [row for row in ROWS if row.grants]
