"""A stack with something of every kind, and the addresses of the pages that show it."""

from __future__ import annotations

from typing import Any

from tests.http import Caller, fresh_stack

VIEWS = (
    *("", "facts", "facts/nodes/c1/ip", "members", "members/c1", "waiters", "alarms"),
    *("configurations", "actions", "turns", "events"),
)
MARKUP = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
"""A text that nothing may take for markup."""


def at(server: str, *names: str) -> str:
    """Return the URL of a page of the console."""
    return f"{server}/console/#/{'/'.join(names)}"


def fill(api: Caller, text: str) -> str:
    """Make a stack with something of every kind, and a text wherever one can be; return its name."""
    stack = fresh_stack()
    base = f"/v1/stacks/{stack}"

    def put(path: str, body: object) -> Any:
        answer = api("PUT", base + path, json=body)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    put("", {"description": text, "keep_values": 5})
    for name, group in (("head", "head"), ("c1", "compute"), ("c2", "compute")):
        put(f"/members/{name}", {"group": group, "ttl": 3600, "attributes": {text: [text]}})
        put(f"/facts/nodes/{name}/ip", {"value": text})
    put("/facts/nodes/c1/ip", {"value": {text: [1, text]}, "kind": "observed"})
    put("/facts/config/key", {"value": text, "sensitive": True})
    put("/facts/config/mode", {"value": text, "kind": "parameter"})
    every = {"every_member": {"group": "compute", "fact": "ready", "equals": text, "at_least": 1}}
    put("/waiters/cluster", {"success": every, "timeout": 3600})
    put("/waiters/signals", {"success": {"signals": 1}, "failure": None})
    failed = {"status": "FAILURE", "reason": text, "data": text, "id": text}
    api.post(f"{base}/waiters/signals/signal", json=failed).raise_for_status()
    put("/alarms/load", {"condition": {"facts": "nodes/*/ip", "equals": text}})
    put(
        "/alarms/average",
        {
            "condition": {
                "aggregate": {"function": "avg", "fact": "load", "group": "compute", "at_least": 1}
            }
        },
    )
    put("/facts/nodes/c1/load", {"value": 0.5})
    made = put(
        "/configurations/c1/app", {"group": "script", "config": text, "options": {text: text}}
    )
    put(
        "/configurations/c1/app/result",
        {
            "id": made["id"],
            "state": "failed",
            "status_code": 1,
            "stdout": text,
            "stderr": text,
            "reason": text,
            "message": text,
            "outputs": {text: text},
        },
    )
    put("/configurations/c2/app", {"group": "script", "depends_on": ["c1/app"]})
    action = api.post(
        f"{base}/actions", json={"hook": "script", "config": text, "group": "compute"}
    )
    assert action.ok, action.text
    put("/turns/rolling/c1", {"max_parallel": 1})
    put("/turns/rolling/c2", {"max_parallel": 1})
    return stack
