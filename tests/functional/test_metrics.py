"""A scrape shows the work of a service."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from factstore.cmd.processes.etcd import EtcdServer
from factstore.core.model.waiter import Progress, Timer
from factstore.store import codec
from factstore.store.keyspace import Keyspace
from factstore.store.types import Credentials, PutKey, Txn
from tests.eventually import eventually
from tests.functional.test_streams import watch
from tests.http import Caller
from tests.patient_client import PatientClient
from tests.service import ApiServer, check_log
from tests.unit.core.records import member, waiter

Sample = tuple[str, frozenset[tuple[str, str]]]
ROOT = "/factstore/v1"
REPORTED = 60  # seconds within which every worker has noted its gauges


WORKERS = 2


@pytest.fixture
def alone(
    request: pytest.FixtureRequest, private_etcd: EtcdServer, tmp_path: Path
) -> Iterator[Caller]:
    """A client of a service that has no other, so that its counters begin at 0."""
    workers = getattr(request, "param", WORKERS)
    with ApiServer([private_etcd.endpoint], tmp_path / "api", workers=workers) as server:
        with Caller(server.url) as caller:
            yield caller
        check_log(server)


def scrape(api: Caller) -> dict[Sample, float]:
    """On a connection of its own, so that now this, now that worker answers."""
    with Caller(api.url) as scraper:
        answer = scraper.get("/metrics")
    assert answer.status_code == HTTPStatus.OK
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: dict[Sample, float], name: str, **labels: str) -> float:
    return samples.get((f"factstore_{name}", frozenset(labels.items())), 0)


FACT = "/v1/stacks/{stack}/facts/{path}"


@pytest.mark.parametrize("alone", [1, WORKERS], ids=["one worker", "two workers"], indirect=True)
def test_requests_are_counted_by_route_and_status_over_all_workers(alone: Caller) -> None:
    api = alone
    for n in range(20):
        with Caller(api.url) as other:
            assert other.put(f"/v1/stacks/s/facts/n{n}", n).status_code == HTTPStatus.CREATED
    api.put("/v1/stacks/s/facts/n1", 1)
    api.get("/v1/stacks/s/facts/missing?wait=1")
    api.get("/nowhere")
    api("BREW", "/v1/stacks")
    # A worker publishes what the fast path counts after a moment: the puts, and the read that waited.
    eventually(lambda: value(scrape(api), "fast_path_requests_total") == 22)
    before = value(scrape(api), "response_bytes_total")
    length = len(api.get("/v1/stacks").content)
    samples = scrape(api)
    assert value(samples, "response_bytes_total") - before == length
    assert value(samples, "requests_total", method="PUT", route=FACT, status="201") == 20
    assert value(samples, "requests_total", method="PUT", route=FACT, status="200") == 1
    assert value(samples, "requests_total", method="GET", route=FACT, status="404") == 1
    none = {"method": "none", "route": "none"}
    assert value(samples, "requests_total", **none, status="404") == 1
    assert value(samples, "requests_total", **none, status="405") == 1
    assert value(samples, "request_seconds_count", method="PUT", route=FACT) == 21
    assert value(samples, "request_seconds_count", method="GET", route=FACT) == 0  # it waited
    assert value(samples, "watch_lag_seconds_count") == 20
    assert value(samples, "etcd_seconds_count", call="txn") >= 20
    assert value(samples, "etcd_seconds_count", call="range") > 0


def test_gauges_add_up_over_all_workers(alone: Caller) -> None:
    api = alone
    # The server answers once one worker follows the store; the events of a worker that
    # opens it later would not include these facts.
    eventually(lambda: value(scrape(api), "ready") == WORKERS, REPORTED)
    for path, text in (("a", "xyz"), ("b", "ö")):
        api.put(f"/v1/stacks/s/facts/{path}", text)
    revision = int(api.get("/v1/stacks").json()["cursor"].partition(".")[2])
    streams = [watch(api, "/v1/stacks/s") for _ in range(3)]
    try:
        for stream in streams:
            assert stream.next_of_any()

        def reported() -> dict[Sample, float] | None:
            samples = scrape(api)
            names = ("ready", "streams", "facts", "hub_events")
            seen = tuple(value(samples, name) for name in names)
            # A worker that begins with the history writes a revision of its own.
            followed = revision <= value(samples, "revision") < 2 * revision
            return samples if followed and seen == (WORKERS, 3, 2, 2 * WORKERS) else None

        samples = eventually(reported, REPORTED)
    finally:
        for stream in streams:
            stream.close()
    assert value(samples, "stacks") == 1
    assert value(samples, "bytes") == len('a"xyz"' + 'b""') + len("ö".encode())
    assert value(samples, "hub_bytes") > 0


def test_members_and_waiters_are_counted_for_all_workers(
    alone: Caller, private_etcd: EtcdServer
) -> None:
    api = alone
    keys = Keyspace(ROOT)
    living = [member(name, 0) for name in ("c1", "c2")]
    gone = member("c3", 0, state="departed", reason="left")
    armed = waiter("w", 0, {"signals": 1})
    met = replace(waiter("v", 0, {"signals": 1}), state="met", progress=Progress(1, 1))
    api.put("/v1/stacks/s/facts/a", 1)
    client = PatientClient([private_etcd.endpoint], Credentials())
    try:
        lease = client.grant(600, deadline=time.monotonic() + 60)
        stacks = keys.all_stacks
        (found,) = client.get(stacks.start, stacks.end, deadline=time.monotonic() + 60).items
        project_id = found.key.decode().split("/")[-2]
        stack_id = json.loads(found.value)["id"]
        records = [*living, gone, armed, Timer("w"), met]
        client.transact(
            Txn(
                [],
                [
                    PutKey(
                        keys.record(project_id, stack_id, r.record_key),
                        codec.encode_record(r),
                        lease,
                    )
                    for r in records
                ],
            ),
            deadline=time.monotonic() + 60,
        )

        def told() -> bool:
            samples = scrape(api)
            names = ("members", "waiters_pending", "facts")
            return [value(samples, name) for name in names] == [2, 1, 6]

        assert eventually(told, REPORTED)
    finally:
        client.close()


def test_no_number_names_a_tenant(api: Caller) -> None:
    api.put("/v1/stacks/secret-stack/facts/secret/path", "secret-value")
    with Caller(api.url) as scraper:
        text = scraper.get("/metrics").text
    assert "secret" not in text
    assert "project" not in {
        label
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label in sample.labels
    }


def test_only_reading_is_allowed(api: Caller) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = api(method, "/metrics")
        assert answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED
        assert answer.headers["Allow"] == "GET, HEAD"
    assert api("HEAD", "/metrics").status_code == HTTPStatus.OK


def test_a_dead_worker_counts_no_streams_and_leaves_no_files(
    private_etcd: EtcdServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "tmp"
    files.mkdir()
    monkeypatch.setenv("TMPDIR", str(files))
    with ApiServer([private_etcd.endpoint], tmp_path / "api", workers=2) as server:
        with Caller(server.url) as api:
            api.put("/v1/stacks/s", json={})
            assert list(files.glob("factstore-metrics-*"))
            streams = [watch(api, "/v1/stacks/s") for _ in range(4)]
            eventually(lambda: value(scrape(api), "streams") == 4, REPORTED)
            for worker in server.workers():  # one of them may serve all four
                os.kill(worker, signal.SIGKILL)
            eventually(lambda: value(scrape(api), "streams") == 0, REPORTED)
            for stream in streams:
                stream.close()
        server.kill()
        assert list(files.glob("factstore-metrics-*"))  # nobody could tidy up
        server.start()
        assert len(list(files.glob("factstore-metrics-*"))) == 1
    server.stop()
    assert not list(files.glob("factstore-metrics-*"))
