"""A stream ends, and is resumed at another worker."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.cmd.processes.api import ApiProcess, write_options
from factstore.cmd.processes.etcd import EtcdServer
from factstore.cmd.processes.ports import free_port
from tests.eventually import eventually
from tests.functional.test_streams import etag, snapshot, watch
from tests.http import Caller, check_refusal
from tests.processes import gone
from tests.raw_http import connect, read_answer, request_bytes
from tests.service import ApiServer, check_log
from tests.streaming import Stream


def test_the_deletion_of_a_stack_is_sent_to_all_and_ends_the_stream(
    api: Caller, stack: str
) -> None:
    etag(api, f"{stack}/facts/a", 1)
    with watch(api, stack) as stream, watch(api, stack, "?prefix=x&types=fact.put") as filtered:
        answer = api.delete(stack)
        for each in (stream, filtered):
            change, goodbye = each.rest()
            assert change.event == "change"
            assert [entry["type"] for entry in change.data["changes"]] == ["stack.delete"]
            assert change.data["changes"][0]["path"] is None
            assert change.data["changes"][0]["by"] == "anybody"
            request_id = change.data["changes"][0]["request_id"]
            assert request_id == answer.headers["X-Openstack-Request-Id"]
            assert goodbye.event == "goodbye"
            assert goodbye.retry is not None


def test_a_recreated_stack_is_another_one(api: Caller, stack: str) -> None:
    first = etag(api, f"{stack}/facts/old", 1)
    api.delete(stack)
    etag(api, f"{stack}/facts/new", 1)
    with watch(api, stack, "?initial=true") as stream:
        assert snapshot(stream)[0] == ["new"]
    with watch(api, stack, f"?since={first}") as stream:
        told = stream.next()
        assert told is not None
        # What it missed is the end of the stack it knew, or a fresh start; never a silent gap.
        assert told.event == "reset" or told.data["changes"][0]["type"] == "stack.delete"


def test_a_stream_resumes_on_another_service_without_loss_or_repetition(
    one_worker: ApiServer, two_workers: ApiServer, stack: str
) -> None:
    services = [one_worker, two_workers]
    with Caller(one_worker.url) as api:
        last = etag(api, f"{stack}/facts/a", "first")
        tags = [etag(api, f"{stack}/facts/a", n) for n in range(40)]
        told: list[str] = []
        while len(told) < len(tags):
            # Two frames here, two frames there; of which worker does not matter either.
            url = services[len(told) // 2 % 2].url
            with Stream(url, f"{stack}/events", {"Last-Event-ID": last}) as stream:
                for _ in range(2):
                    last = stream.expect("change").id or ""
                    told.append(last)
        assert told == tags


@pytest.fixture
def stopping(etcd: EtcdServer, tmp_path: Path) -> Iterator[ApiServer]:
    """A service for one test, which may stop its worker."""
    with ApiServer([etcd.endpoint], tmp_path / "api") as server:
        yield server
        check_log(server)


def test_a_stopping_worker_ends_all_streams_and_exits_within_ten_seconds(
    stopping: ApiServer, stack: str
) -> None:
    with Caller(stopping.url) as api, connect(api.url) as waiting:
        tag = etag(api, f"{stack}/facts/a", 1)
        etag(api, f"{stack}/facts/a", 2)
        waiting.sendall(request_bytes("GET", f"{stack}/facts/missing?wait=50"))
        (worker,) = stopping.workers()
        with watch(api, stack) as quiet, watch(api, stack, f"?since={tag}") as busy:
            busy.expect("change")
            os.kill(worker, signal.SIGTERM)
            for stream in (quiet, busy):
                (goodbye,) = stream.rest()
                assert goodbye.event == "goodbye"
                assert goodbye.data["reason"]
                assert goodbye.retry is not None
                assert 500 <= goodbye.retry <= 3000  # spread, so that not all come back at once
        answer = read_answer(waiting)
        check_refusal(answer.status, answer.headers, answer.json(), "404 not_found")
        assert answer.headers["Retry-After"] == "1"
        eventually(lambda: gone([worker]))
    eventually(stopping.healthy)  # the master made another
    with Caller(stopping.url) as api, watch(api, stack, last=tag) as stream:
        assert stream.expect("change").data["changes"][0]["fact"]["value"] == 2


def test_an_idle_kept_alive_connection_does_not_delay_a_stopping_service(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    config = tmp_path / "factstore.conf"
    port = free_port()
    write_options(
        config,
        {
            "DEFAULT": {"auth_strategy": "none"},
            "api": {"port": port, "drain_seconds": 120},
            "etcd": {"endpoints": etcd.endpoint},
        },
    )
    service = ApiProcess(config, port, tmp_path / "api.log")
    service.start()
    try:
        service.wait_ready()
        idle = http.client.HTTPConnection("127.0.0.1", port)
        idle.request("GET", "/")
        idle.getresponse().read()
        assert idle.sock is not None  # kept alive, and doing nothing
        assert service.child.terminate(60) == 0  # by itself, long before its grace is over
        idle.close()
    finally:
        service.kill()
