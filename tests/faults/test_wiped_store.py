"""A store that lost everything is another store: nothing of the old one is taken for the new one's,
although revisions and paths are the same."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.commands import factstore
from tests.etcd_backup import restore_backup, save_backup
from tests.eventually import eventually
from tests.faults.checker import History, Scope, check_watcher
from tests.faults.conftest import StartApi
from tests.faults.etcd_gateway import RawEtcd
from tests.faults.plain_http import fact_url, revision_of
from tests.faults.readiness import ask, listed, page, put
from tests.faults.watchers import PollWatcher, StreamWatcher, Watcher, frames
from tests.faults.writers import PROJECT
from tests.service import ApiServer

STACK = "s"
URL = f"/v1/stacks/{STACK}"


LEADING = 20  # writes before those whose revisions are to come again
MEETING = 20


def _first_life(server: ApiServer) -> dict[int, dict[str, object]]:
    """Write one thing after the other; the states of one fact, by revision."""
    for number in range(LEADING):
        put(server, STACK, "a", number)
    made = [put(server, STACK, "last", f"at {number}") for number in range(MEETING)]
    return {fact["revision"]: fact for fact in made}


def _second_life(
    server: ApiServer, raw: RawEtcd, olds: dict[int, dict[str, object]]
) -> tuple[dict[str, object], dict[str, object]]:
    """Write until the same path has the same value at the same revision; the old fact and the new."""
    while raw.head() + 1 < min(olds):
        put(server, STACK, "a", f"again {raw.head()}")
    while (wanted := raw.head() + 1) <= max(olds):
        value = olds[wanted]["value"] if wanted in olds else "between"
        new = put(server, STACK, "last", value)
        old = olds.get(new["revision"])
        if old and old["value"] == new["value"]:
            return old, new
    raise AssertionError("the revisions never met")


def _wipe(etcd: EtcdServer) -> None:
    etcd.kill()
    etcd.wipe()
    etcd.start()
    etcd.wait_ready()


@pytest.mark.parametrize("how", ["running", "asleep", "stopped", "restarted"])
def test_nothing_of_a_wiped_store_is_taken_for_the_new_ones(
    etcd_server: EtcdServer, start_api: StartApi, how: str
) -> None:
    server = start_api([etcd_server.endpoint])
    other = start_api([etcd_server.endpoint]) if how == "asleep" else server
    raw = RawEtcd(etcd_server.endpoint)
    olds = _first_life(server)
    before = page(server, STACK)
    next_page = ask(server, "GET", f"{URL}/facts?limit=1").json()["links"][-1]["href"]
    watchers: list[Watcher] = [
        kind(kind.__name__, [server.url], STACK, cursor=before["cursor"])
        for kind in (StreamWatcher, PollWatcher)
    ]
    for watcher in watchers:
        watcher.start()
    marked = put(server, STACK, "marked", 1)
    for watcher in watchers:
        eventually(lambda w=watcher: w.position >= marked["revision"])

    if how == "asleep":
        server.pause()
    elif how == "stopped":
        server.kill()
    _wipe(etcd_server)
    if how in {"stopped", "restarted"}:
        server.kill()
        server.start()
    old, new = _second_life(other, raw, olds)
    if how == "asleep":
        server.resume()
        server.wait_ready(60)
    life = page(server, STACK)["cursor"].partition(".")[0]
    assert life != before["cursor"].partition(".")[0]

    # Only the life of the store tells these two apart.
    assert (new["revision"], new["path"], new["value"]) == (
        old["revision"],
        old["path"],
        old["value"],
    )
    assert new["etag"] != old["etag"]
    url, tag = fact_url(STACK, "last"), f'"{old["etag"]}"'
    assert ask(server, "GET", url, If_None_Match=tag).status == 200
    assert ask(server, "GET", url, If_None_Match=f'"{new["etag"]}"').status == 304
    assert ask(server, "PUT", url, {"value": 1}, If_Match=tag).status == 412
    assert ask(server, "DELETE", url, If_Match=tag).status == 412
    guarded = {
        "guards": [{"path": "last", "etag": old["etag"]}],
        "operations": [{"put": {"path": "x", "value": 1}}],
    }
    assert ask(server, "POST", f"{URL}/batch", guarded).status == 412
    since = before["cursor"]
    assert ask(server, "GET", next_page.removeprefix(server.url)).status == 410
    assert ask(server, "GET", f"{URL}/events?since={since}").status == 410
    stream = f"{URL}/events?on_gap=error"
    assert ask(server, "GET", stream, Accept="text/event-stream", Last_Event_ID=since).status == 410
    assert _first_frames(server, since) == ["reset", "snapshot", "bookmark"]

    _watchers_have_restarted(server, raw, watchers)


def test_nothing_of_a_store_is_taken_for_that_of_its_restored_backup(
    etcd_server: EtcdServer, start_api: StartApi, tmp_path: Path
) -> None:
    server, raw = start_api([etcd_server.endpoint]), RawEtcd(etcd_server.endpoint)
    put(server, STACK, "config", "A")
    assert ask(server, "PUT", f"{URL}/members/c1", {"group": "g", "ttl": 600}).status == 201
    reports, convergence = f"{URL}/members/c1/heartbeat", f"{URL}/convergence"
    first = {"applied": page(server, STACK)["cursor"]}
    assert ask(server, "POST", reports, first).status == 204
    assert ask(server, "GET", convergence).json()["converged"]
    save_backup(etcd_server, tmp_path / "backup")
    kinds = (StreamWatcher, PollWatcher)
    watchers: list[Watcher] = [
        kind(kind.__name__, [server.url], STACK, cursor=first["applied"]) for kind in kinds
    ]
    for watcher in watchers:
        watcher.start()
    _first_life(server)
    lost = put(server, STACK, "config", "B")
    last = {"applied": page(server, STACK)["cursor"]}
    assert ask(server, "POST", reports, last).status == 204
    for watcher in watchers:
        eventually(lambda w=watcher: w.position >= lost["revision"])

    etcd_server.kill()  # and the service continues to run, which operators should avoid
    restore_backup(etcd_server, tmp_path / "backup")
    etcd_server.start()
    etcd_server.wait_ready()
    renewed = factstore("renew-epoch", "--config-file", server.config, "--yes")
    assert renewed.returncode == 0, renewed.stderr

    url = fact_url(STACK, "config")
    eventually(lambda: ask(server, "GET", url).status == 200)
    eventually(lambda: ask(server, "GET", f"{URL}/events?since={last['applied']}").status == 410)
    assert ask(server, "GET", url).json()["value"] == "A"
    assert ask(server, "GET", fact_url(STACK, "last")).status == 404
    # The member has applied B; that it had applied A before does not count.
    found = ask(server, "GET", convergence).json()
    assert (found["converged"], found["members"][0]["applied"]) == (False, None)
    for cursor in (first, last):
        assert ask(server, "POST", reports, cursor).status == 410
    report = f"{URL}/context?since={last['applied']}&member=c1&applied={last['applied']}"
    again = ask(server, "GET", report)
    assert (again.status, again.json()["facts"]["config"]) == (200, "A")
    assert ask(server, "GET", convergence).json()["members"][0]["applied"] is None
    now = {"applied": page(server, STACK)["cursor"]}
    assert ask(server, "POST", reports, now).status == 204
    assert ask(server, "GET", convergence).json()["converged"]
    _watchers_have_restarted(server, raw, watchers)


def _first_frames(server: ApiServer, cursor: str) -> list[str]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
    try:
        connection.request("GET", f"{URL}/events", headers=headers)
        with connection.getresponse() as answer:
            found = frames(answer)
            return [next(found)["event"] for _ in range(3)]
    finally:
        connection.close()


def _watchers_have_restarted(server: ApiServer, raw: RawEtcd, watchers: list[Watcher]) -> None:
    """Check that all watchers have restarted and have the new store."""
    end = put(server, STACK, "end", 1)
    for watcher in watchers:
        eventually(
            lambda w=watcher: w.complaints or (w.resets and w.position >= end["revision"]), 60
        )
        watcher.stop()
    history = History(raw.keyspace)
    raw.witness(history)
    assert listed(server, STACK) == history.state(Scope(PROJECT, STACK))
    for watcher in watchers:
        assert watcher.complaints == [], watcher.name
        assert watcher.cursor.partition(".")[0] == end["etag"].partition(".")[0]
        assert revision_of(watcher.cursor) >= end["revision"]
        last = watcher.segments[-1:]
        scope = Scope(PROJECT, STACK)
        assert check_watcher(history, scope, "", last, end["revision"]) == [], watcher.name
