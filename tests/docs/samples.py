"""Create the samples of the API reference from the responses of a service.

``python -m tests.docs.samples`` starts etcd, Keystone and the API, and writes what they answer into
``api-ref/source/samples``. Run it after a change of what the API shows.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from factstore.api.schemas.vendordata import VendorDataBody
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.keystone import KeystoneServer
from tests.docs.sample_requests import (
    ACTION_POST,
    ACTION_REPORT,
    ALARM_PUT,
    BATCH,
    CONFIGURATION_PUT,
    CONFIRMATION,
    DRY_RUN,
    ENROLMENT,
    FACT_PUT,
    GRANT_POST,
    GROUP_POST,
    HOOK_SIGNAL,
    MEMBER_DECLARE,
    MEMBER_PUT,
    PROGRESS,
    READ_SET_PUT,
    RENEWAL,
    ROTATION,
    SIGNAL,
    STACK_PUT,
    SUBSCRIPTION_PATCH,
    SUBSCRIPTION_POST,
    TURN_PUT,
    WAITER_PUT,
)
from tests.service import ApiServer

SAMPLES = Path(__file__).parents[2] / "api-ref" / "source" / "samples"
STACK = "slurm"
STREAMED = "trial"


class Caller:
    """A client of one service, as one user."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        if token is not None:
            self.session.headers["X-Auth-Token"] = token

    def ask(self, method: str, path: str, status: int, **options: Any) -> str:
        """Return the body of the response, which must have this status."""
        answer = self.session.request(method, f"{self.url}{path}", timeout=60, **options)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        return answer.text


def gather(caller: Caller, nova: Caller | None = None, project_id: str = "none") -> dict[str, str]:
    """Return the samples by file name, from a service without stacks.

    :param nova: a caller that may request vendor data; by default the same.
    :param project_id: the caller's project.
    """
    stack = f"/v1/stacks/{STACK}"
    made = {
        "stack-put-request": json.dumps(STACK_PUT),
        "fact-put-request": json.dumps(FACT_PUT),
        "batch-request": json.dumps(BATCH),
        "versions-list-response": caller.ask("GET", "/v1/", 200),
        "stack-put-response": caller.ask("PUT", stack, 201, json=STACK_PUT),
        "fact-put-response": caller.ask("PUT", f"{stack}/facts/nodes/head", 201, json=FACT_PUT),
    }
    since = json.loads(caller.ask("GET", f"{stack}/facts", 200))["cursor"]
    made["batch-response"] = caller.ask("POST", f"{stack}/batch", 200, json=BATCH)
    caller.ask("DELETE", f"{stack}/facts/services/slurmctld", 204)
    made["fact-show-response"] = caller.ask("GET", f"{stack}/facts/nodes/head", 200)
    made["facts-list-response"] = caller.ask("GET", f"{stack}/facts?limit=1", 200)
    history = f"{stack}/history/services/slurmctld"
    made["history-show-response"] = caller.ask("GET", history, 200)
    made["diff-show-response"] = caller.ask("GET", f"{stack}/diff?since={since}", 200)
    made["events-poll-response"] = caller.ask("GET", f"{stack}/events?since={since}", 200)
    query = f"stacks=slurm*&since={since}"
    made["all-events-poll-response"] = caller.ask("GET", f"/v1/events?{query}", 200)
    made["context-show-response"] = caller.ask("GET", f"{stack}/context", 200)
    made["context-delta-response"] = caller.ask("GET", f"{stack}/context?since={since}", 200)
    waiter = f"{stack}/waiters/cluster-ready"
    made["waiter-put-request"] = json.dumps(WAITER_PUT)
    made["waiter-put-response"] = caller.ask("PUT", waiter, 201, json=WAITER_PUT)
    made["signal-request"] = json.dumps(SIGNAL)
    made["signal-response"] = caller.ask("POST", f"{waiter}/signal", 200, json=SIGNAL)
    made["waiter-show-response"] = caller.ask("GET", waiter, 200)
    made["waiters-list-response"] = caller.ask("GET", f"{stack}/waiters", 200)
    made.update(alarms(caller, stack))
    made.update(grants(caller))
    made.update(subscriptions(caller))
    made["stack-show-response"] = caller.ask("GET", stack, 200)
    made["error-response"] = caller.ask(
        "PUT", f"{stack}/facts/nodes/head", 412, json=FACT_PUT, headers={"If-None-Match": "*"}
    )
    caller.ask("PUT", f"{stack}/facts/old/result", 201, data="done")
    made["folder-delete-response"] = caller.ask("DELETE", f"{stack}/facts/old?recursive=true", 200)
    address, targets = f"{stack}/facts/nodes/c1/ip", f"{stack}/context?format=prometheus-sd"
    caller.ask("PUT", address, 201, data="10.0.0.11")
    made["context-targets-response"] = caller.ask("GET", targets, 200)
    caller.ask("DELETE", address, 204)
    made["limits-show-response"] = caller.ask("GET", "/v1/limits", 200)
    made["stacks-list-response"] = caller.ask("GET", "/v1/stacks", 200)
    server = {**VendorDataBody.example, "project-id": project_id}
    made["vendordata-request"] = json.dumps(server)
    made["vendordata-response"] = (nova or caller).ask("POST", "/v1/vendordata", 200, json=server)
    made.update(members(caller))
    texts = {f"{name}.json": pretty(text) for name, text in made.items()}
    return {**texts, "events-stream.txt": stream(caller)}


def alarms(caller: Caller, stack: str) -> dict[str, str]:
    """Return the samples of alarms."""
    alarm = f"{stack}/alarms/busy"
    return {
        "alarm-put-request": json.dumps(ALARM_PUT),
        "alarm-put-response": caller.ask("PUT", alarm, 201, json=ALARM_PUT),
        "alarm-show-response": caller.ask("GET", alarm, 200),
        "alarms-list-response": caller.ask("GET", f"{stack}/alarms", 200),
    }


def grants(caller: Caller) -> dict[str, str]:
    """Issue a grant and renew it for less; issue one from a group's grant."""
    path = f"/v1/stacks/{STACK}/grants"
    issued = caller.ask("POST", path, 201, json=GRANT_POST)
    grant = f"{path}/{json.loads(issued)['id']}"
    shown = caller.ask("GET", grant, 200)
    listed = caller.ask("GET", path, 200)
    group = json.loads(caller.ask("POST", path, 201, json=GROUP_POST))
    holder = {"X-Auth-Token": None, "Authorization": f"Bearer {group['token']}"}
    return {
        "grant-group-request": json.dumps(GROUP_POST),
        "grant-enrol-request": json.dumps(ENROLMENT),
        "grant-enrol-response": caller.ask("POST", path, 201, json=ENROLMENT, headers=holder),
        "grant-post-request": json.dumps(GRANT_POST),
        "grant-post-response": issued,
        "grant-show-response": shown,
        "grants-list-response": listed,
        "grant-renew-request": json.dumps(RENEWAL),
        "grant-renew-response": caller.ask("POST", f"{grant}/renew", 200, json=RENEWAL),
    }


def subscriptions(caller: Caller) -> dict[str, str]:
    """Create a subscription, change it and rotate its secret; create and delete one for a queue."""
    path = "/v1/subscriptions"
    created = caller.ask("POST", path, 201, json=SUBSCRIPTION_POST)
    subscription = f"{path}/{json.loads(created)['id']}"
    listed = caller.ask("GET", path, 200)
    queue = json.loads(caller.ask("POST", path, 201, json={"target": "zaqar:?queue_name=events"}))
    other = f"{path}/{queue['id']}"
    replay = {"since": queue["delivery"]["cursor"]}
    of_queue = {
        "subscription-patch-response": caller.ask("PATCH", other, 200, json=SUBSCRIPTION_PATCH),
        "subscription-confirm-response": caller.ask(
            "POST", f"{other}/confirm", 200, json=CONFIRMATION
        ),
        "subscription-test-request": "{}",
        "subscription-test-response": caller.ask("POST", f"{other}/test", 202, json={}),
        "subscription-replay-request": json.dumps(replay),
        "subscription-replay-response": caller.ask("POST", f"{other}/replay", 200, json=replay),
        "deliveries-list-response": caller.ask("GET", f"{other}/deliveries", 200),
    }
    caller.ask("DELETE", other, 204)
    made = {
        "subscription-post-request": json.dumps(SUBSCRIPTION_POST),
        "subscription-post-response": created,
        "subscription-show-response": caller.ask("GET", subscription, 200),
        "subscriptions-list-response": listed,
        "subscription-patch-request": json.dumps(SUBSCRIPTION_PATCH),
        "subscription-confirm-request": json.dumps(CONFIRMATION),
        "subscription-rotate-request": json.dumps(ROTATION),
        "subscription-rotate-response": caller.ask(
            "POST", f"{subscription}/rotate", 200, json=ROTATION
        ),
    }
    caller.ask("DELETE", subscription, 204)
    return made | of_queue


def members(caller: Caller) -> dict[str, str]:
    """Join two members, of which one has applied everything; declare and remove a third one."""
    stack = f"/v1/stacks/{STACK}"
    head = {"group": "head", "attributes": {"rack": "r1"}}
    caller.ask("PUT", f"{stack}/members/head", 201, json=head)
    joined = caller.ask("PUT", f"{stack}/members/c1", 201, json=MEMBER_PUT)
    generation = json.loads(joined)["generation"]
    patch = {"state": "ready", "generation": generation}
    declared = caller.ask("PUT", f"{stack}/members/c2", 201, json=MEMBER_DECLARE)
    caller.ask("DELETE", f"{stack}/members/c2", 204)
    ready = caller.ask("PATCH", f"{stack}/members/c1", 200, json=patch)
    listed = caller.ask("GET", f"{stack}/members?limit=1", 200)
    heartbeat = {"generation": generation, "applied": json.loads(listed)["cursor"]}
    read_set = f"{stack}/members/c1/read_set"
    read_set_put = READ_SET_PUT | {"generation": generation}
    stored = caller.ask("PUT", read_set, 201, json=read_set_put)
    caller.ask("POST", f"{stack}/members/c1/heartbeat", 204, json=heartbeat)
    return {
        "member-put-request": json.dumps(MEMBER_PUT),
        "member-put-response": joined,
        "member-declare-request": json.dumps(MEMBER_DECLARE),
        "member-declare-response": declared,
        "member-patch-request": json.dumps(patch),
        "member-patch-response": ready,
        "member-show-response": caller.ask("GET", f"{stack}/members/c1", 200),
        "members-list-response": listed,
        "read-set-put-request": json.dumps(read_set_put),
        "read-set-put-response": stored,
        "read-set-show-response": caller.ask("GET", read_set, 200),
        "heartbeat-request": json.dumps(heartbeat),
        "heartbeat-show-response": caller.ask("GET", f"{stack}/members/c1/heartbeat", 200),
        "convergence-show-response": caller.ask("GET", f"{stack}/convergence", 200),
        "member-why-response": why(caller, generation, listed),
        "batch-dry-run-request": json.dumps(DRY_RUN),
        "batch-dry-run-response": caller.ask(
            "POST", f"{stack}/batch?dry_run=true", 200, json=DRY_RUN
        ),
        **waits(caller),
        **turns(caller, generation),
        **configurations(caller),
        **actions(caller),
    }


def why(caller: Caller, generation: str, listed: str) -> str:
    """Let a member write what follows from a change, and show why another one has applied that."""
    stack = f"/v1/stacks/{STACK}"
    headers = {"Factstore-Cause": json.loads(listed)["cursor"]}
    key = {"value": "ready", "generation": generation}
    put = f"{stack}/facts/nodes/c1/state"
    caller.ask("PUT", put, 201, json=key, headers=headers)
    cursor = json.loads(caller.ask("GET", f"{stack}/facts", 200))["cursor"]
    applied = {"applied": cursor}
    caller.ask("POST", f"{stack}/members/head/heartbeat", 204, json=applied)
    caller.ask("GET", f"{stack}/convergence?group=head&wait=20", 200)
    found = caller.ask("GET", f"{stack}/members/head/why", 200)
    caller.ask("DELETE", put, 204)
    return found


def configurations(caller: Caller) -> dict[str, str]:
    """Write two configurations, of which one depends on the other, and report progress."""
    path = f"/v1/stacks/{STACK}/configurations"
    caller.ask("PUT", f"{path}/head/database", 201, json={"group": "script"})
    put = caller.ask("PUT", f"{path}/c1/app", 201, json=CONFIGURATION_PUT)
    database = json.loads(caller.ask("GET", f"{path}/head/database", 200))
    report = {"id": database["id"], "state": "in_progress", **PROGRESS}
    reported = caller.ask("PUT", f"{path}/head/database/result", 200, json=report)
    samples = {
        "configuration-put-request": json.dumps(CONFIGURATION_PUT),
        "configuration-put-response": put,
        "configuration-show-response": caller.ask("GET", f"{path}/c1/app", 200),
        "configuration-report-request": json.dumps(report),
        "configuration-report-response": reported,
        "configurations-list-response": caller.ask("GET", path, 200),
        "configurations-member-response": caller.ask("GET", f"{path}/c1", 200),
        "configuration-signal-request": json.dumps(HOOK_SIGNAL),
        "configuration-signal-response": caller.ask(
            "POST", f"{path}/head/database/signal", 200, json=HOOK_SIGNAL
        ),
    }
    for key in ("c1/app", "head/database"):
        caller.ask("DELETE", f"{path}/{key}", 204)
    return samples


def actions(caller: Caller) -> dict[str, str]:
    """Run an action, report a result and cancel another action."""
    path, own = f"/v1/stacks/{STACK}/actions", f"/v1/stacks/{STACK}/members/c1/actions"
    made = caller.ask("POST", path, 201, json=ACTION_POST)
    action = f"{path}/{json.loads(made)['id']}"
    waiting = caller.ask("GET", own, 200)
    reported = caller.ask("PUT", f"{action}/results/c1", 200, json=ACTION_REPORT)
    other = json.loads(caller.ask("POST", path, 201, json=ACTION_POST))["id"]
    samples = {
        "action-post-request": json.dumps(ACTION_POST),
        "action-post-response": made,
        "action-show-response": caller.ask("GET", action, 200),
        "action-report-request": json.dumps(ACTION_REPORT),
        "action-report-response": reported,
        "action-result-show-response": caller.ask("GET", f"{action}/results/c1", 200),
        "action-results-response": caller.ask("GET", f"{action}/results", 200),
        "action-cancel-request": "{}",
        "action-cancel-response": caller.ask("POST", f"{path}/{other}/cancel", 200),
        "actions-list-response": caller.ask("GET", path, 200),
        "member-actions-response": waiting,
    }
    for each in (action, f"{path}/{other}"):
        caller.ask("DELETE", each, 204)
    return samples


def waits(caller: Caller) -> dict[str, str]:
    """Let two members lack facts of each other, and a waiter wait for a member that does not exist."""
    stack = f"/v1/stacks/{STACK}"
    lacking = {
        "results/c1/agent/missing": ["nodes/head/munge_key"],
        "results/head/agent/missing": ["nodes/c1/cpus"],
    }
    for path, paths in lacking.items():
        caller.ask("PUT", f"{stack}/facts/{path}", 201, json={"value": paths})
    success = {"facts": "nodes/c9/ready", "present": True}
    caller.ask("PUT", f"{stack}/waiters/c9-ready", 201, json={"success": success})
    found = caller.ask("GET", f"{stack}/waits", 200)
    caller.ask("DELETE", f"{stack}/waiters/c9-ready", 204)
    for path in lacking:
        caller.ask("DELETE", f"{stack}/facts/{path}", 204)
    return {"waits-show-response": found}


def turns(caller: Caller, generation: str) -> dict[str, str]:
    """Take turns for two members in one queue, and for one of them in another queue."""
    path = f"/v1/stacks/{STACK}/turns"
    turn = {"generation": generation, **TURN_PUT}
    taken = caller.ask("PUT", f"{path}/compute/c1", 201, json=turn)
    caller.ask("PUT", f"{path}/compute/head", 201, json=TURN_PUT)
    caller.ask("PUT", f"{path}/backup/head", 201, json={})
    return {
        "turn-put-request": json.dumps(turn),
        "turn-put-response": taken,
        "turn-show-response": caller.ask("GET", f"{path}/compute/c1", 200),
        "turns-list-response": caller.ask("GET", path, 200),
        "turns-queue-response": caller.ask("GET", f"{path}/compute", 200),
    }


def stream(caller: Caller) -> str:
    """Return the frames of a stream: a snapshot, a change, the end of the stack."""
    stack = f"/v1/stacks/{STREAMED}"
    caller.ask("PUT", f"{stack}/facts/nodes/c1/ip", 201, data="10.0.0.6")
    followed = caller.session.get(
        f"{caller.url}{stack}/events?initial=true",
        headers={"Accept": "text/event-stream"},
        stream=True,
        timeout=60,
    )
    lines: Iterator[str] = followed.iter_lines(decode_unicode=True)
    shown = []
    for line in lines:
        shown.append(line)
        if line == "event: bookmark":
            break
    # Another connection makes the changes while this one reads.
    writer = threading.Thread(target=_finish, args=(caller.url, dict(caller.session.headers)))
    writer.start()
    shown.extend(lines)
    writer.join()
    return "\n".join(shown).rstrip() + "\n"


def _finish(url: str, headers: dict[str, str]) -> None:
    other = Caller(url, headers.get("X-Auth-Token"))
    other.ask("PUT", f"/v1/stacks/{STREAMED}/facts/nodes/c1/ip", 200, data="10.0.0.7")
    other.ask("DELETE", f"/v1/stacks/{STREAMED}", 204)


def pretty(text: str) -> str:
    """Return indented JSON."""
    return json.dumps(json.loads(text), indent=4) + "\n"


def main() -> int:
    """Write all samples again."""
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        etcd = EtcdServer(base / "etcd")
        keystone = KeystoneServer(base / "keystone")
        try:
            etcd.start()
            keystone.prepare()
            keystone.start()
            etcd.wait_ready()
            keystone.wait_ready()
            api = ApiServer([etcd.endpoint], base / "api", auth="keystone", keystone=keystone)
            keystone.accounts.provision(api.url)
            with api:
                accounts = keystone.accounts
                made = gather(
                    Caller(api.url, accounts.issue("owner")),
                    Caller(api.url, accounts.issue("service")),
                    accounts.session("owner").get_project_id(),
                )
        finally:
            keystone.kill()
            etcd.kill()
    SAMPLES.mkdir(exist_ok=True)
    for name, text in made.items():
        (SAMPLES / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
