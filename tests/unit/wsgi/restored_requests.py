"""Requests whose answers name a revision of the store, by what they need and change."""

from __future__ import annotations

import re

S = "/v1/stacks/s"
WAITER = {"success": {"facts": "x", "equals": 1}}
ALARM = {"condition": {"facts": "x", "equals": 1}}
CONFIGURATION = {"group": "script", "config": "true"}
ACTION = {"hook": "script", "config": "true", "member": "c1"}
RESULT = {"id": "{configuration}", "state": "complete", "status_code": 0}
Request = tuple[str, str, object]

SETUP: tuple[Request, ...] = (
    ("PUT", S, {"description": "one"}),
    ("PUT", f"{S}/facts/a/b", {"value": 1}),
    ("PUT", f"{S}/facts/a/c", {"value": 2}),
    ("PUT", f"{S}/facts/key", {"value": "k", "sensitive": True}),
    ("PUT", f"{S}/members/c1", {"group": "compute", "ttl": 60}),
    ("PUT", f"{S}/members/c1/read_set", {"facts": ["a"]}),
    ("PUT", f"{S}/members/c2", {"group": "compute", "ttl": 60}),
    ("PUT", f"{S}/waiters/w", WAITER),
    ("PUT", f"{S}/alarms/w", ALARM),
    ("PUT", f"{S}/configurations/c1/one", CONFIGURATION),
    ("POST", f"{S}/actions", ACTION),
    ("PUT", f"{S}/turns/q/c1", {}),
    ("POST", f"{S}/grants", {"role": "reader"}),
    ("POST", "/v1/subscriptions", {"target": "zaqar:?queue_name=events"}),
)

READS: tuple[str, ...] = (
    "/v1/stacks",
    "/v1/stacks?limit=1",
    S,
    f"{S}?consistency=stale",
    f"{S}/facts",
    f"{S}/facts?limit=1",
    f"{S}/facts?limit=1&marker=a/b&cursor={{here}}",
    f"{S}/facts?cursor={{former}}",
    f"{S}/members?cursor={{former}}",
    "/v1/stacks?cursor={former}",
    f"{S}/facts/a/b",
    f"{S}/facts/a/b?consistency=stale",
    f"{S}/facts/a/b?wait=1",
    f"{S}/facts/a/b?format=raw",
    f"{S}/facts/key",
    f"{S}/context",
    f"{S}/context?include=results",
    f"{S}/context?format=prometheus-sd",
    f"{S}/context?member=c1",
    f"{S}/context?since={{here}}",
    f"{S}/context?since={{former}}",
    f"{S}/context?at={{here}}",
    f"{S}/context?at={{former}}",
    f"{S}/convergence",
    f"{S}/events?since={{here}}",
    f"{S}/events",
    "/v1/events?since={here}",
    f"{S}/history/a/b",
    f"{S}/diff",
    f"{S}/diff?since={{former}}",
    f"{S}/members",
    f"{S}/members?limit=1&marker=c1&cursor={{here}}",
    f"{S}/members/c1",
    f"{S}/members/c2",
    f"{S}/members/c1/actions",
    f"{S}/members/c1/why",
    f"{S}/waiters",
    f"{S}/waiters/w",
    f"{S}/alarms",
    f"{S}/alarms/w",
    f"{S}/grants",
    f"{S}/configurations",
    f"{S}/configurations/c1",
    f"{S}/configurations/c1/one",
    f"{S}/actions",
    f"{S}/actions/{{action}}",
    f"{S}/turns",
    f"{S}/turns/q",
    f"{S}/turns/q/c1",
    f"{S}/waits",
    "/v1/subscriptions",
    "/v1/subscriptions/{subscription}",
)

FAST_READS = tuple(
    path
    for path in READS
    if path.startswith((f"{S}/facts/a", f"{S}/context", f"{S}/events"))
    and not re.search("format=|at=", path)
)
FAST_WRITES = (f"{S}/facts/a/b", f"{S}/facts/a/new", f"{S}/batch")

WRITES: tuple[Request, ...] = (
    ("PUT", S, {"description": "two"}),
    ("PUT", "/v1/stacks/new", {}),
    ("PUT", f"{S}/facts/a/b", {"value": 5}),
    ("PUT", f"{S}/facts/a/new", {"value": 5}),
    ("PUT", f"{S}/facts/key", {"value": "new", "sensitive": True}),
    ("DELETE", f"{S}/facts/a/b", None),
    ("DELETE", f"{S}/facts/a?recursive=true", None),
    ("POST", f"{S}/batch", {"operations": [{"put": {"path": "a/b", "value": 5}}]}),
    ("PUT", f"{S}/members/new", {"group": "compute", "ttl": 60}),
    ("PATCH", f"{S}/members/c1", {"state": "ready"}),
    ("DELETE", f"{S}/members/c2", None),
    ("PUT", f"{S}/waiters/new", WAITER),
    ("POST", f"{S}/waiters/w/signal", {"id": "one"}),
    ("PUT", f"{S}/waiters/w/signal", {"id": "two"}),
    ("DELETE", f"{S}/waiters/w", None),
    ("PUT", f"{S}/alarms/new", ALARM),
    ("DELETE", f"{S}/alarms/w", None),
    ("PUT", f"{S}/configurations/c1/new", CONFIGURATION),
    ("PUT", f"{S}/configurations/c1/one/result", RESULT),
    ("POST", f"{S}/configurations/c1/one/signal", {"deploy_status_code": 0}),
    ("PUT", f"{S}/configurations/c1/one/signal", {"deploy_status_code": 1}),
    ("DELETE", f"{S}/configurations/c1/one", None),
    ("POST", f"{S}/grants", {"role": "reader"}),
    ("DELETE", f"{S}/grants/{{grant}}", None),
    ("POST", "/v1/subscriptions", {"target": "https://receiver.example.com/"}),
    ("PATCH", "/v1/subscriptions/{subscription}", {"name": "new"}),
    ("POST", "/v1/subscriptions/{subscription}/test", {}),
    ("POST", "/v1/subscriptions/{subscription}/rotate", {}),
    ("POST", "/v1/subscriptions/{subscription}/replay", {"since": "{here}"}),
)

CONFIRMS: tuple[Request, ...] = (
    ("PUT", S, {"description": "one"}),
    ("PUT", f"{S}/facts/a/b", {"value": 1}),
    ("POST", f"{S}/batch", {"operations": [{"put": {"path": "a/b", "value": 1}}]}),
    ("POST", f"{S}/batch?dry_run=true", {"operations": [{"delete": {"path": "a/b"}}]}),
    ("PUT", f"{S}/waiters/w", WAITER),
    ("PUT", f"{S}/alarms/w", ALARM),
    ("PUT", f"{S}/configurations/c1/one", CONFIGURATION),
    ("POST", "/v1/subscriptions/{subscription}/confirm", {"challenge": "challenge-x"}),
)
"""Requests that write nothing: they state what is so already, or are a dry run."""
