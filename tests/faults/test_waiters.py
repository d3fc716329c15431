"""Each arming of a waiter, and each edge of an alarm, is one event, even if any service is killed."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.faults.conftest import StartApi
from tests.faults.readiness import ask, page, put
from tests.service import ApiServer

STACK = "s"
WRITERS = 6
KILLS = 4
ENDS = ("met", "failed", "timed_out")


def waiter_url(name: str) -> str:
    return f"/v1/stacks/{STACK}/waiters/{name}"


def arm(server: ApiServer, name: str, body: object) -> None:
    """Arm exactly once: if the outcome is unknown, repeat the request, which reports it."""
    answer = ask(server, "PUT", waiter_url(name), body, If_None_Match="*")
    assert answer.status in {HTTPStatus.CREATED, HTTPStatus.PRECONDITION_FAILED}, answer


def state(server: ApiServer, name: str) -> str:
    found: str = json.loads(ask(server, "GET", waiter_url(name)).body)["state"]
    return found


def kill_in_turn(servers: list[ApiServer], choices: random.Random, kills: int) -> None:
    """Kill one service after the other, never both at a time.

    Called by the thread that lives longest: what a thread starts goes when it ends.
    """
    for _ in range(kills):
        threading.Event().wait(choices.uniform(0.1, 0.8))
        server = choices.choice(servers)
        server.kill()
        server.start()


def test_each_end_and_each_edge_is_one_event_although_services_are_killed(
    etcd_server: EtcdServer, start_api: StartApi, seed: int, scale: int
) -> None:
    servers = [start_api([etcd_server.endpoint]) for _ in range(2)]
    put(servers[0], STACK, "start", 1)
    start = page(servers[0], STACK)["cursor"]
    enough = threading.Event()

    def live(writer: int) -> list[tuple[str, str]]:
        """Arm one waiter after another, until services were killed often enough; all their ends."""
        choices = random.Random(seed + writer)
        ends: list[tuple[str, str]] = []
        name = f"w{writer}"
        while not (enough.is_set() and ends):
            here, there = choices.sample(servers, 2)
            path = f"f/{name}/{len(ends)}"
            fact, never = ({"facts": at, "present": True} for at in (path, "never"))
            kind = choices.choice(list(ENDS))
            body = {
                "met": {"success": fact},
                "failed": {"success": never, "failure": fact},
                "timed_out": {"success": never, "timeout": 1},
            }[kind]
            if choices.random() < 0.5:
                put(there, STACK, path, 1)
                arm(here, name, body)
            else:
                arm(here, name, body)
                put(there, STACK, path, 1)
            eventually(lambda at=there: state(at, name) != "pending")
            assert state(here, name) == kind
            ends.append((name, f"waiter.{kind}"))
            gone = ask(there, "DELETE", waiter_url(name)).status
            assert gone in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND}
        return ends

    def swing() -> list[tuple[str, str]]:
        """Raise and clear an alarm until services were killed often enough; all its edges."""
        choices = random.Random(seed - 1)
        edges: list[tuple[str, str]] = []
        body = {"condition": {"aggregate": {"function": "max", "facts": "load", "at_least": 5}}}
        url = f"/v1/stacks/{STACK}/alarms/swing"
        ask(servers[0], "PUT", url, body)
        while not (enough.is_set() and edges):
            for load, wanted, kind in ((9, "alarm", "raised"), (1, "ok", "cleared")):
                here, there = choices.sample(servers, 2)
                put(there, STACK, "load", load)
                eventually(lambda at=here, to=wanted: ask(at, "GET", url).json()["state"] == to)
                edges.append(("swing", f"alarm.{kind}"))
        return edges

    with ThreadPoolExecutor(WRITERS + 1) as threads:
        living = [threads.submit(live, writer) for writer in range(WRITERS)]
        living.append(threads.submit(swing))
        try:
            kill_in_turn(servers, random.Random(seed), KILLS * scale)
        finally:
            enough.set()
        ends = [end for lived in living for end in lived.result(120)]
    stories = [told(server, start) for server in servers]
    assert stories[0] == stories[1]
    assert Counter(stories[0]) == Counter(ends)


def told(server: ApiServer, since: str) -> list[tuple[str, str]]:
    """Return names and types of the ends and edges that a watcher receives after a cursor."""
    found: list[tuple[str, str]] = []
    end = put(server, STACK, "end", random.random())["revision"]
    while int(since.partition(".")[2]) < end:
        answer = ask(server, "GET", f"/v1/stacks/{STACK}/events?since={since}&wait=5")
        assert answer.status == HTTPStatus.OK, answer
        document = answer.json()
        for event in document["events"]:
            for change in event["changes"]:
                if change["type"].startswith(("waiter.", "alarm.")):
                    found.append((change["name"], change["type"]))
        since = document["next"]
    return found
