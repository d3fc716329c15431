"""Limits of a project: quotas, rates and open streams."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.functional.test_metrics import scrape, value
from tests.functional.test_streams import refused as stream_refused
from tests.functional.test_streams import watch
from tests.http import Caller, refused
from tests.raw_http import read_answer, request_bytes
from tests.service import ApiServer, check_log

Limited = Callable[..., Caller]


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


@pytest.fixture
def limited(private_etcd: EtcdServer, tmp_path: Path) -> Iterator[Limited]:
    """Starts a service with some limits, and gives a client of it."""
    with ExitStack() as opened:

        def start(**limits: int) -> Caller:
            server = ApiServer(
                [private_etcd.endpoint], tmp_path / "api", options={"limits": limits}
            )
            opened.enter_context(server)
            opened.callback(check_log, server)
            return opened.enter_context(Caller(server.url))

        yield start


def test_limits_and_usage_are_shown(limited: Limited) -> None:
    api = limited(stacks=7, facts=20, bytes_per_stack=1000, burst=5, streams=3)
    shown = api.get("/v1/limits").json()
    assert shown["limits"] == {
        "stacks": 7,
        "facts": 20,
        "bytes": 256 * 1024 * 1024,
        "facts_per_stack": 50_000,
        "bytes_per_stack": 1000,
        "subscriptions": 100,
        "history_events": 100_000,
        "history_bytes": 64 * 1024 * 1024,
        "streams": 3,
        "streams_per_stack": 10000,
        "waiting_requests": 5000,
        "requests_per_second": -1,
        "burst": 5,
    }
    assert set(shown["usage"].values()) == {0}
    api.put("/v1/stacks/s/facts/a", "xyz")
    api.put("/v1/stacks/s/facts/b", 1)
    api.put("/v1/stacks/t", json={})
    with watch(api, "/v1/stacks/s"):
        usage = api.get("/v1/limits").json()["usage"]
        assert usage.pop("history_bytes") > 0
        assert usage == {
            "stacks": 2,
            "facts": 2,
            "bytes": 8,
            "history_events": 2,
            "subscriptions": 0,
            "streams": 1,
            "waiting_requests": 0,
        }
    api.delete("/v1/stacks/s")
    usage = eventually(lambda: (u := api.get("/v1/limits").json()["usage"])["streams"] == 0 and u)
    assert (usage["stacks"], usage["facts"], usage["bytes"]) == (1, 0, 0)


def test_a_full_project_learns_which_quota_is_full_and_makes_room_itself(limited: Limited) -> None:
    api = limited(stacks=2, facts=3, facts_per_stack=2, bytes=100)
    one, two = "/v1/stacks/one", "/v1/stacks/two"
    assert api.put(f"{one}/facts/a", 1).status_code == HTTPStatus.CREATED
    assert api.put(f"{one}/facts/b", 1).status_code == HTTPStatus.CREATED
    entry = refused(api.put(f"{one}/facts/c", 1), "403 quota_exceeded")
    assert (entry["quota"], entry["limit"], entry["used"]) == ("facts_per_stack", 2, 2)
    assert api.put(f"{two}/facts/a", 1).status_code == HTTPStatus.CREATED
    assert refused(api.put(f"{two}/facts/b", 1), "403 quota_exceeded")["quota"] == "facts"
    assert refused(api.put("/v1/stacks/x", json={}), "403 quota_exceeded")["quota"] == "stacks"
    assert refused(api.put("/v1/stacks/x/facts/a", 1), "403 quota_exceeded")["quota"] == "stacks"
    refused(api.get("/v1/stacks/x"), "404 not_found")
    long = api.put(f"{two}/facts/a", "x" * 100)
    assert refused(long, "403 quota_exceeded")["quota"] == "bytes"
    # What a caller demands is judged first, and what changes nothing needs no room.
    existing = api.put(f"{one}/facts/c", 1, headers={"If-Match": '"x"'})
    refused(existing, "412 precondition_failed")
    assert api.put(f"{two}/facts/a", 1).headers["Factstore-Unchanged"] == "true"
    assert api.put(f"{two}/facts/a", 2).status_code == HTTPStatus.OK
    batch = {"operations": [{"delete": {"path": "a"}}, {"put": {"path": "c", "value": 1}}]}
    assert api.post(f"{one}/batch", json=batch).status_code == HTTPStatus.OK
    assert api.delete(f"{one}/facts/b").status_code == HTTPStatus.NO_CONTENT
    assert api.put(f"{two}/facts/b", 1).status_code == HTTPStatus.CREATED


def test_streams_and_waiting_requests_of_a_project_are_limited(limited: Limited) -> None:
    api = limited(streams=2, waiting_requests=2)
    stack = "/v1/stacks/s"
    api.put(f"{stack}/facts/a", 1)
    with watch(api, stack), watch(api, stack) as second:
        with watch(api, stack) as third:
            stream_refused(third, "429 too_many_streams")
            assert int(third.answer.headers["Retry-After"]) > 0
        assert api.get(f"{stack}/events").status_code == HTTPStatus.OK  # a poll is no stream
        second.close()

        def is_accepted() -> bool:
            with watch(api, stack) as another:
                return another.answer.status == HTTPStatus.OK

        eventually(is_accepted)
    with ThreadPoolExecutor(2) as threads:
        waiting = [
            threads.submit(Caller(api.url).get, f"{stack}/facts/{path}?wait=50") for path in "bc"
        ]
        eventually(lambda: api.get("/v1/limits").json()["usage"]["waiting_requests"] == 2)
        for path in ("facts/d?wait=1", "context?wait=1", "events?wait=1"):
            answer = api.get(f"{stack}/{path}")
            refused(answer, "429 too_many_waiting")
            assert int(answer.headers["Retry-After"]) > 0
        assert api.get(f"{stack}/facts/a").status_code == HTTPStatus.OK
        for path in "bc":
            api.put(f"{stack}/facts/{path}", 1)
        assert {done.result(60).status_code for done in waiting} == {HTTPStatus.OK}
    assert api.get("/v1/limits").json()["usage"]["waiting_requests"] == 0


def test_one_stack_may_not_take_all_streams(limited: Limited) -> None:
    api = limited(streams=3, streams_per_stack=2)
    for stack in "st":
        api.put(f"/v1/stacks/{stack}", json={})
    with watch(api, "/v1/stacks/s"), watch(api, "/v1/stacks/s"):
        with watch(api, "/v1/stacks/s") as third:
            stream_refused(third, "429 too_many_streams")
        with watch(api, "/v1/stacks/t") as other:
            assert other.answer.status == HTTPStatus.OK
            with watch(api, "/v1/stacks/t") as fourth:
                stream_refused(fourth, "429 too_many_streams")


def test_a_stream_that_was_not_begun_leaves_nothing_counted(limited: Limited) -> None:
    api = limited(streams=1)
    api.put("/v1/stacks/s", json={})
    for _ in range(3):
        headers = {"Accept": "text/event-stream"}
        assert api("HEAD", "/v1/stacks/s/events", headers=headers).status_code == HTTPStatus.OK
    for _ in range(3):
        with watch(api, "/v1/stacks/nowhere") as stream:
            stream_refused(stream, "404 not_found")
    assert api.get("/v1/limits").json()["usage"]["streams"] == 0


def test_a_client_above_its_rate_is_delayed_and_then_refused(limited: Limited) -> None:
    api = limited(requests_per_second=4, burst=10)
    assert api.put("/v1/stacks/s", json={}).ok
    assert api.put("/v1/stacks/s/facts/known", 1).ok

    def send(number: int) -> requests.Response:
        own = Caller(api.url)  # the fast path delays its requests itself
        if number % 3 == 0:
            return own.get("/v1/stacks")
        fact = f"/v1/stacks/s/facts/f{number}"
        return own.put(fact, 1) if number % 3 == 1 else own.get("/v1/stacks/s/facts/known")

    with ThreadPoolExecutor(60) as threads:
        answers = list(threads.map(send, range(60)))
    served = [answer for answer in answers if answer.ok]
    turned_away = [answer for answer in answers if not answer.ok]
    fast = [answer for answer in served if not answer.url.endswith("/stacks")]
    assert len(fast) > 10  # more than a burst
    eventually(lambda: value(scrape(api), "fast_path_requests_total") == len(fast) + 1)
    assert len(served) >= 25  # what is left of a burst, and those delayed for 5 seconds at most
    assert turned_away
    for answer in turned_away:
        assert refused(answer, "429 rate_limited")["retry_after"] > 0
        assert int(answer.headers["Retry-After"]) > 0
    # Discovery and health belong to no project.
    assert all(api.get(path).status_code == HTTPStatus.OK for path in ("/", "/healthcheck") * 30)


def test_a_project_that_used_up_its_rate_keeps_its_members(limited: Limited) -> None:
    api = limited(requests_per_second=1, burst=5)
    ttl = 5
    member = "/v1/stacks/s/members/m"
    joined = api.put(member, json={"group": "g", "ttl": ttl})
    assert joined.status_code == HTTPStatus.CREATED
    beat = {"generation": joined.json()["generation"]}
    puts = [{"put": {"path": path, "value": "x" * 60_000}} for path in "ab"]
    batch = api.post("/v1/stacks/s/batch", json={"operations": puts})
    assert batch.status_code == HTTPStatus.OK  # the cost of its body is owed for a while
    end = time.monotonic() + ttl + 2
    while time.monotonic() < end:  # the service holds up who beats faster than it must
        assert api.post(f"{member}/heartbeat", json=beat).status_code == HTTPStatus.NO_CONTENT
    refused(api.put("/v1/stacks/s/facts/a", 1), "429 rate_limited")


def test_requests_wait_in_queues_that_a_worker_serves_in_turn(
    private_etcd: EtcdServer, tmp_path: Path
) -> None:
    options = {"api": {"access_log": "true"}}
    with (
        ApiServer([private_etcd.endpoint], tmp_path / "api", options=options) as server,
        Caller(server.url) as api,
        ExitStack() as opened,
    ):
        member = "/v1/stacks/s/members/m"
        joined = api.put(member, json={"group": "g"}).json()
        for part in range(10):
            puts = [{"put": {"path": f"{part}/{fact}", "value": fact}} for fact in range(100)]
            assert api.post("/v1/stacks/s/batch", json={"operations": puts}).ok
        lists = 300
        server.pause()  # so that the worker finds all requests at the same moment
        for _ in range(lists):
            caller = opened.enter_context(socket.create_connection(address(server.url)))
            caller.sendall(
                b"GET /v1/stacks/s/facts?limit=300 HTTP/1.1\r\n"
                b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            caller.shutdown(socket.SHUT_WR)  # it still reads the response
        server.resume()
        pattern = re.compile(r"(?:GET /v1/stacks/s/facts|POST \S+/heartbeat) (\d+) ")

        def statuses() -> list[str]:
            return pattern.findall(server.log_path.read_text())

        eventually(statuses)
        server.pause()
        beat = json.dumps({"generation": joined["generation"]}).encode()
        with socket.create_connection(address(server.url)) as connection:
            connection.sendall(
                request_bytes(
                    "POST", f"{member}/heartbeat", "Content-Type: application/json", body=beat
                )
            )
            server.resume()
            assert read_answer(connection, "POST").status == HTTPStatus.NO_CONTENT
        eventually(lambda: len(statuses()) == lists + 1, 60)
        # Heartbeats have a queue of their own, so this one did not wait for the lists before it.
        assert statuses().index("204") < lists - 10
        assert statuses().count("200") == lists


def test_a_service_with_an_invalid_limit_does_not_start(etcd: EtcdServer, tmp_path: Path) -> None:
    server = ApiServer([etcd.endpoint], tmp_path / "api", options={"limits": {"facts": "-2"}})
    server.start(wait=False)
    try:
        eventually(lambda: "facts" in server.log_path.read_text())
    finally:
        server.kill()
