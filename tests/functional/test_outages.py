"""When etcd is away, comes back, forgets or is another one."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from factstore.cmd.processes.etcd import EtcdServer
from tests.conftest import serving_etcd
from tests.eventually import eventually
from tests.http import Caller, fresh_stack, refused
from tests.service import ApiServer, check_log
from tests.streaming import Stream

BRIEF = {"etcd": {"timeout": "3.0"}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    """An etcd that the tests may harm, and leave running."""
    yield from serving_etcd(tmp_path_factory.mktemp("etcd") / "data")


@pytest.fixture(scope="module")
def service(store: EtcdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A service on that etcd; it gives up on it after three seconds."""
    directory = tmp_path_factory.mktemp("api")
    with ApiServer([store.endpoint], directory, options=BRIEF) as server:
        yield server
        check_log(server)


@pytest.fixture
def api(service: ApiServer) -> Iterator[Caller]:
    eventually(service.healthy)  # the test before may just have restarted etcd
    with Caller(service.url) as caller:
        yield caller


@pytest.fixture
def stack() -> str:
    return f"/v1/stacks/{fresh_stack()}"


def compact(etcd: EtcdServer) -> int:
    """Make etcd forget everything before its present revision."""
    revision = int(etcd.status()["header"]["revision"])
    body = json.dumps({"revision": revision, "physical": True}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{etcd.endpoint}/v3/kv/compaction", body, timeout=60) as answer:
        assert answer.status == HTTPStatus.OK
    return revision


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_without_etcd_requests_are_refused_in_time_and_later_served_again(
    store: EtcdServer, api: Caller, service: ApiServer, stack: str, how: str
) -> None:
    written = api.put(f"{stack}/facts/a", "kept")
    (store.kill if how == "killed" else store.pause)()
    reads = ["/v1/stacks", stack, f"{stack}/facts", f"{stack}/facts/a", f"{stack}/context"]
    for path in [*reads, f"{stack}/events", f"{stack}/facts/b?wait=50"]:
        answer = api.get(path)  # the client's own time limit is 60 s
        refused(answer, "503 store_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    for answer in (
        api.put(f"{stack}/facts/a", "lost?"),
        api.delete(f"{stack}/facts/a", headers={"If-Match": '"0123456789abcdef.1"'}),
        api("PUT", f"{stack}x", json={}),
        api.post(f"{stack}/batch", json={"operations": [{"put": {"path": "b", "value": 1}}]}),
    ):
        # A write that may have reached etcd differs from one that cannot have.
        if answer.status_code == HTTPStatus.GATEWAY_TIMEOUT:
            refused(answer, "504 outcome_unknown")
        else:
            refused(answer, "503 store_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
    assert not service.healthy()
    assert api.get("/").status_code == HTTPStatus.OK
    assert api.get(f"{stack}/facts/a?consistency=stale").json()["value"] == "kept"
    if how == "killed":
        store.restart()
    else:
        store.resume()
    eventually(lambda: api.get(f"{stack}/facts/a").status_code == HTTPStatus.OK)
    read = api.get(f"{stack}/facts/a")
    if read.headers["ETag"] == written.headers["ETag"]:
        assert read.json() == written.json()
    else:
        assert read.json()["value"] == "lost?"  # a write of unknown outcome
    assert api.put(f"{stack}/facts/a", "again").status_code == HTTPStatus.OK
    eventually(service.healthy)


def test_a_stream_outlives_an_outage_and_misses_nothing(
    store: EtcdServer, api: Caller, stack: str
) -> None:
    api.put(f"{stack}/facts/a", 0)
    with Stream(api.url, f"{stack}/events") as stream:
        first = api.put(f"{stack}/facts/a", 1).json()["etag"]
        assert stream.expect("change").id == first
        store.kill()
        refused(api.get(stack), "503 store_unavailable")
        store.restart()
        eventually(lambda: api.get(stack).status_code == HTTPStatus.OK)
        second = api.put(f"{stack}/facts/a", 2).json()["etag"]
        assert stream.expect("change").id == second


def test_a_service_may_start_before_its_etcd(store: EtcdServer, tmp_path: Path, stack: str) -> None:
    store.stop()
    server = ApiServer([store.endpoint], tmp_path / "early", options=BRIEF)
    try:
        server.start(wait=False)
        with Caller(server.url) as api:
            eventually(lambda: listens(api))
            refused(api.get(stack), "503 store_unavailable")
            store.restart()
            server.wait_ready()
            assert api.put(f"{stack}/facts/a", 1).status_code == HTTPStatus.CREATED
    finally:
        server.kill()


def listens(api: Caller) -> bool:
    try:
        return api.get("/").status_code == HTTPStatus.OK
    except OSError:
        return False


def test_pages_of_a_compacted_revision_have_expired(
    store: EtcdServer, api: Caller, stack: str
) -> None:
    operations = [{"put": {"path": f"p{n}", "value": n}} for n in range(4)]
    api.post(f"{stack}/batch", json={"operations": operations}).raise_for_status()
    api.put(f"{stack}x/facts/a", 1)
    links = [
        api.get(path).json()["links"][1]["href"]
        for path in ("/v1/stacks?limit=1", f"{stack}/facts?limit=2")
    ]
    api.put(f"{stack}/facts/p0", "changed")
    for link in links:
        assert api.get(link).status_code == HTTPStatus.OK
    compact(store)
    for link in links:
        refused(api.get(link), "410 cursor_expired")
    assert api.get(f"{stack}/facts?limit=2").status_code == HTTPStatus.OK


def test_a_service_started_after_a_compaction_resets_older_watchers(
    store: EtcdServer, api: Caller, tmp_path: Path, stack: str
) -> None:
    since = api.put(f"{stack}/facts/a", 1).json()["etag"]
    api.put(f"{stack}/facts/a", 2)
    recent = api.put(f"{stack}/facts/a", 3).json()["etag"]
    compact(store)
    last = api.put(f"{stack}/facts/a", 4).json()["etag"]
    with (
        ApiServer([store.endpoint], tmp_path / "late") as late,
        Caller(late.url) as caller,
    ):
        refused(caller.get(f"{stack}/events?since={since}"), "410 cursor_expired")
        with Stream(late.url, f"{stack}/events?since={since}") as stream:
            stream.expect("reset")
            (fact,) = stream.expect("snapshot").data["facts"]
            assert (fact["value"], fact["etag"]) == (4, last)
        events = caller.get(f"{stack}/events?since={recent}")
        if events.status_code == HTTPStatus.OK:
            assert [event["cursor"] for event in events.json()["events"]] == [last]
        else:
            refused(events, "410 cursor_expired")
        check_log(late)


def test_history_is_resumed_across_a_restart_of_the_service(
    service: ApiServer, api: Caller, stack: str
) -> None:
    since = api.put(f"{stack}/facts/a", 0).json()["etag"]
    tags = [api.put(f"{stack}/facts/a", n).json()["etag"] for n in range(1, 6)]
    context = api.get(f"{stack}/context").headers["Factstore-Cursor"]
    api.put(f"{stack}-2/facts/a", 0)  # a revision after the copy of the context
    api.close()
    service.restart()
    # Each of them is among the first requests, while the worker still reads the history.
    with Caller(service.url) as caller:
        polled = caller.get(f"{stack}/events?since={since}").json()["events"]
        assert [event["cursor"] for event in polled] == tags
        past = caller.get(f"{stack}/context?at={tags[0]}").json()
        assert past["facts"] == {"a": 1}
        delta = caller.get(f"{stack}/context?since={since}").json()
        assert (delta["since"], delta["facts"]) == (since, {"a": 5})
        unchanged = caller.get(f"{stack}/context?since={context}").json()
        assert (unchanged["since"], unchanged["facts"]) == (context, {})
    with Stream(service.url, f"{stack}/events?since={since}&on_gap=error") as stream:
        assert [stream.expect("change").id for _ in tags] == tags


def test_old_events_of_a_stack_have_expired_and_those_of_a_quieter_one_have_not(
    private_etcd: EtcdServer, tmp_path: Path, stack: str
) -> None:
    options = {"watch": {"history_events": 5}}
    with (
        ApiServer([private_etcd.endpoint], tmp_path / "small", options=options) as small,
        Caller(small.url) as api,
    ):
        quiet = [api.put(f"{stack}-quiet/facts/a", n).json()["etag"] for n in range(2)]
        tags = [api.put(f"{stack}/facts/a", n).json()["etag"] for n in range(12)]
        resumed = api.get(f"{stack}-quiet/events?since={quiet[0]}").json()["events"]
        assert [event["cursor"] for event in resumed] == quiet[1:]
        shown = api.get(f"/v1/limits?stack={stack.rpartition('/')[2]}").json()
        assert shown["limits"]["history_events"] == shown["usage"]["history_events"] == 5
        assert shown["stack"]["history_events"] == 3
        assert shown["stack"]["history_since"] == tags[8]
        refused(api.get(f"{stack}/events?since={tags[2]}"), "410 cursor_expired")
        held = api.get(f"{stack}/events?since={tags[8]}").json()["events"]
        assert [event["cursor"] for event in held] == tags[9:]
        with Stream(small.url, f"{stack}/events?since={tags[2]}") as stream:
            stream.expect("reset")
            assert stream.expect("snapshot").data["facts"][0]["value"] == 11
        check_log(small)


def test_a_wiped_store_answers_to_no_old_cursor_and_no_old_tag(
    store: EtcdServer, api: Caller, service: ApiServer, stack: str
) -> None:
    old = api.put(f"{stack}/facts/a", 1)
    tag = old.headers["ETag"]
    with Stream(api.url, f"{stack}/events") as stream:
        store.kill()
        store.wipe()
        store.start()
        store.wait_ready()
        eventually(lambda: api.get(stack).status_code == HTTPStatus.NOT_FOUND)
        ends = [frame.event for frame in stream.rest()]
        assert ends[-1] == "goodbye"
    created = api.put(f"{stack}/facts/a", 1)
    assert created.status_code == HTTPStatus.CREATED
    assert created.headers["ETag"].partition(".")[0] != tag.partition(".")[0]
    refused(api.put(f"{stack}/facts/a", 2, headers={"If-Match": tag}), "412 precondition_failed")
    read = api.get(f"{stack}/facts/a", headers={"If-None-Match": tag})
    assert read.status_code == HTTPStatus.OK
    cursor = old.headers["Factstore-Cursor"]
    refused(api.get(f"{stack}/events?since={cursor}"), "410 cursor_expired")
    refused(api.get(f"{stack}/facts?cursor={cursor}"), "410 cursor_expired")
    with Stream(api.url, f"{stack}/events", {"Last-Event-ID": cursor}) as stream:
        stream.expect("reset")
        assert stream.expect("snapshot").data["facts"][0]["value"] == 1


def test_a_fact_that_is_not_renewed_expires_and_the_event_states_so(
    api: Caller, stack: str
) -> None:
    def post(name: str) -> requests.Response:
        return api.put(f"{stack}/facts/{name}", json={"value": 1, "ttl": 5})

    api.put(f"{stack}/facts/stays", 1)
    with Stream(api.url, f"{stack}/events") as stream:
        first = post("renewed")
        post("brief")
        assert stream.expect("change").paths == ["renewed"]
        assert stream.expect("change").paths == ["brief"]
        while api.get(f"{stack}/facts/brief?wait=1", headers={"If-None-Match": "*"}).ok:
            again = post("renewed")
            assert again.headers["Factstore-Unchanged"] == "true"
            assert again.headers["ETag"] == first.headers["ETag"]
        (change,) = stream.expect("change").data["changes"]
    assert (change["type"], change["path"]) == ("fact.expire", "brief")
    assert (change["by"], change["fact"], change["previous"]["value"]) == (None, None, 1)
    listed = api.get(f"{stack}/facts").json()["facts"]
    assert [fact["path"] for fact in listed] == ["renewed", "stays"]
