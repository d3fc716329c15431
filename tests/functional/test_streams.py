"""The watch as a stream: server-sent events over HTTP."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from tests.http import Caller, check_refusal
from tests.service import ApiServer
from tests.streaming import Frame, Stream

FOREIGN = "0123456789abcdef.1"


@pytest.fixture
def server(two_workers: ApiServer) -> ApiServer:
    """A service whose two workers answer a client's requests in turn."""
    return two_workers


def etag(api: Caller, path: str, value: object) -> str:
    """Store a fact; its tag without quotes, which is also its event's cursor."""
    answer = api.put(path, value)
    answer.raise_for_status()
    return answer.headers["ETag"].strip('"')


def watch(api: Caller, stack: str, query: str = "", last: str | None = None) -> Stream:
    headers = {"Last-Event-ID": last} if last is not None else {}
    return Stream(api.url, f"{stack}/events{query}", headers)


def snapshot(stream: Stream) -> tuple[list[str], Frame]:
    """The paths of a snapshot, and the bookmark that closes it."""
    paths: list[str] = []
    while (frame := stream.next()) is not None and frame.event == "snapshot":
        assert frame.id is None  # a reader disconnected inside a snapshot must request it again
        assert len(frame.data["facts"]) <= 256
        paths += [fact["path"] for fact in frame.data["facts"]]
    assert frame is not None
    assert frame.event == "bookmark"
    assert frame.id == frame.data["cursor"]
    return paths, frame


def refused(stream: Stream, expected: str) -> None:
    body = json.loads(stream.answer.read())
    check_refusal(stream.answer.status, stream.answer.headers, body, expected)


def test_the_headers_of_a_stream_forbid_proxies_to_buffer_it(api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 1)
    with watch(api, stack) as stream:
        assert stream.answer.status == HTTPStatus.OK
        assert stream.answer.headers["Content-Type"] == "text/event-stream"
        assert stream.answer.headers["Cache-Control"] == "no-store"
        assert stream.answer.headers["X-Accel-Buffering"] == "no"
        assert stream.answer.headers["X-Openstack-Request-Id"].startswith("req-")
        first = stream.next_of_any()
        assert first is not None
        assert first.comment  # so that the client sees at once that it is connected


def test_a_stream_starts_now_and_sends_each_change_once(api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/before", 1)
    with watch(api, stack) as stream:
        put = api.put(f"{stack}/facts/a", 1)
        api.put(f"{stack}/facts/a", 1)  # changes nothing
        second = etag(api, f"{stack}/facts/a", 2)
        api.delete(f"{stack}/facts/a")
        frame = stream.expect("change")
        assert frame.id == frame.data["cursor"] == put.headers["Factstore-Cursor"]
        assert frame.retry is None
        assert frame.data["changes"] == [
            {
                "type": "fact.put",
                "path": "a",
                "fact": put.json(),
                "previous": None,
                "by": "anybody",
                "request_id": put.headers["X-Openstack-Request-Id"],
            }
        ]
        assert stream.expect("change").id == second
        (change,) = stream.expect("change").data["changes"]
        assert (change["type"], change["fact"], change["previous"]["value"]) == (
            "fact.delete",
            None,
            2,
        )


def test_a_batch_is_one_frame(api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 1)
    with watch(api, stack) as stream:
        puts = [{"put": {"path": f"p{n}", "value": n}} for n in range(99)]
        answer = api.post(f"{stack}/batch", json={"operations": [*puts, {"delete": {"path": "a"}}]})
        frame = stream.expect("change")
        assert frame.id == answer.json()["cursor"]
        assert sorted(frame.paths) == sorted(["a", *(f"p{n}" for n in range(99))])


def test_initial_brings_everything_and_then_follows(api: Caller, stack: str) -> None:
    paths = [f"p{n:03}" for n in range(300)]
    for start in range(0, 300, 100):
        puts = [{"put": {"path": path, "value": 1}} for path in paths[start : start + 100]]
        api.post(f"{stack}/batch", json={"operations": puts}).raise_for_status()
    with watch(api, stack, "?initial=true") as stream:
        found, bookmark = snapshot(stream)
        assert found == paths
        after = etag(api, f"{stack}/facts/after", 1)
        assert stream.expect("change").id == after
    with watch(api, stack, f"?since={bookmark.id}") as stream:
        assert stream.expect("change").id == after


def test_a_snapshot_has_members_and_waiters_as_events_have_them(api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 1)
    joined = api("PUT", f"{stack}/members/c1", json={"group": "compute", "ttl": 600}).json()
    api("PUT", f"{stack}/members/h1", json={"group": "head", "ttl": 600})
    definition = {"success": {"facts": "a", "equals": 2}}
    armed = api("PUT", f"{stack}/waiters/w", json=definition).json()
    del armed["signals"]
    with watch(api, stack, "?initial=true&group=compute") as stream:
        frame = stream.expect("snapshot")
        assert (frame.data["members"], frame.data["waiters"]) == ([joined], [armed])
        stream.expect("bookmark")
        api.put(f"{stack}/facts/a", 2)
        put, met = stream.expect("change"), stream.expect("change")
        kinds = [change["type"] for frame in (put, met) for change in frame.data["changes"]]
        assert kinds == ["fact.put", "waiter.met"]


def test_initial_of_an_empty_stack_is_a_bookmark(api: Caller, stack: str) -> None:
    api("PUT", stack, json={})
    with watch(api, stack, "?initial=true") as stream:
        assert snapshot(stream)[0] == []


def test_since_wins_over_initial(api: Caller, stack: str) -> None:
    first = etag(api, f"{stack}/facts/a", 1)
    second = etag(api, f"{stack}/facts/a", 2)
    with watch(api, stack, f"?initial=true&since={first}") as stream:
        assert stream.expect("change").id == second


def test_last_event_id_wins_over_since(api: Caller, stack: str) -> None:
    tags = [etag(api, f"{stack}/facts/a", n) for n in range(3)]
    with watch(api, stack, f"?initial=true&since={tags[0]}", last=tags[1]) as stream:
        assert stream.expect("change").id == tags[2]
    with watch(api, stack, f"?since={FOREIGN}&on_gap=error", last=tags[1]) as stream:
        assert stream.expect("change").id == tags[2]


def test_every_frame_can_be_resumed_from(api: Caller, stack: str) -> None:
    tags = [etag(api, f"{stack}/facts/f{n}", n) for n in range(6)]
    for at in range(5):
        with watch(api, stack, last=tags[at]) as stream:
            assert [stream.expect("change").id for _ in tags[at + 1 :]] == tags[at + 1 :]


def ahead(api: Caller, stack: str) -> str:
    epoch, _, revision = api.get(f"{stack}/facts").json()["cursor"].partition(".")
    return f"{epoch}.{int(revision) + 1_000_000}"


@pytest.mark.parametrize("where", ["since", "Last-Event-ID"])
def test_a_cursor_that_is_void_is_answered_with_a_reset_and_a_snapshot(
    api: Caller, stack: str, where: str
) -> None:
    etag(api, f"{stack}/facts/a", 1)
    for cursor in (FOREIGN, ahead(api, stack)):
        query, last = (f"?since={cursor}", None) if where == "since" else ("", cursor)
        with watch(api, stack, query, last) as stream:
            reset = stream.expect("reset")
            assert reset.id is None
            assert "list" not in reset.data["detail"], "a snapshot follows by itself"
            assert snapshot(stream)[0] == ["a"]
            after = etag(api, f"{stack}/facts/b", 1)
            assert stream.expect("change").id == after
            api.delete(f"{stack}/facts/b")


def test_a_stream_that_lost_history_answers_410_on_request(api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 1)
    for cursor in (FOREIGN, ahead(api, stack)):
        with watch(api, stack, f"?on_gap=error&since={cursor}") as stream:
            refused(stream, "410 cursor_expired")
        with watch(api, stack, "?on_gap=error", last=cursor) as stream:
            refused(stream, "410 cursor_expired")


def test_a_malformed_cursor_is_refused(api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 1)
    with watch(api, stack, "?since=1") as stream:
        refused(stream, "400 cursor_invalid")
    with watch(api, stack, last="1") as stream:
        refused(stream, "400 cursor_invalid")
    with watch(api, stack, "?on_gap=ignore") as stream:
        refused(stream, "400 query_invalid")
    with watch(api, stack, "?initial=1") as stream:
        refused(stream, "400 query_invalid")


def test_a_missing_stack_cannot_be_watched(api: Caller, stack: str) -> None:
    with watch(api, stack, "?initial=true") as stream:
        refused(stream, "404 not_found")


def test_a_prefix_and_types_pick_changes(api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 1)
    with (
        watch(api, stack, "?prefix=nodes/n1") as below,
        watch(api, stack, "?types=fact.delete") as deletions,
    ):
        operations = [
            {"put": {"path": "nodes/n1/ip", "value": 1}},
            {"put": {"path": "nodes/n10/ip", "value": 1}},
            {"delete": {"path": "a"}},
        ]
        cursor = api.post(f"{stack}/batch", json={"operations": operations}).json()["cursor"]
        picked = below.expect("change")
        assert (picked.id, picked.paths) == (cursor, ["nodes/n1/ip"])
        picked = deletions.expect("change")
        assert (picked.id, picked.paths) == (cursor, ["a"])
    with watch(api, stack, "?initial=true&prefix=nodes/n1") as stream:
        assert snapshot(stream)[0] == ["nodes/n1/ip"]


@pytest.mark.parametrize(
    "value",
    [
        "\n\nevent: reset\ndata: {}\n\n",
        "\r\rid: 1\r\r",
        "\r\n\r\n: comment",
        "\u2028\u2029\u0085",
        "\ufeff: bom",
        {"\n\nevent: goodbye": "\n"},
    ],
)
def test_no_value_can_forge_a_frame(api: Caller, stack: str, value: object) -> None:
    etag(api, f"{stack}/facts/a", 1)
    with watch(api, stack) as stream:
        cursor = etag(api, f"{stack}/facts/b", value)
        frame = stream.expect("change")
        assert frame.id == cursor
        assert frame.data["changes"][0]["fact"]["value"] == value
        last = etag(api, f"{stack}/facts/c", 1)
        assert stream.expect("change").id == last
    with watch(api, stack, "?initial=true&prefix=b") as stream:
        assert stream.expect("snapshot").data["facts"][0]["value"] == value


def test_a_client_that_accepts_both_types_gets_the_one_with_the_greater_weight(
    api: Caller, stack: str
) -> None:
    etag(api, f"{stack}/facts/a", 1)
    for accept, kind in {
        "text/event-stream, application/json;q=0.9": "text/event-stream",
        "application/json, text/event-stream;q=0.9": "application/json",
        "*/*": "application/json",
        "text/*": "text/event-stream",
    }.items():
        with Stream(api.url, f"{stack}/events", {"Accept": accept}) as stream:
            assert stream.answer.headers["Content-Type"] == kind, accept


def test_head_of_a_stream_ends(api: Caller, stack: str) -> None:
    etag(api, f"{stack}/facts/a", 1)
    answer = api("HEAD", f"{stack}/events", headers={"Accept": "text/event-stream"})
    assert answer.status_code == HTTPStatus.OK


def test_one_stream_carries_many_stacks_and_is_resumed_on_another_worker(
    api: Caller, stack: str
) -> None:
    name = stack.removeprefix("/v1/stacks/")
    etag(api, f"{stack}/facts/a", 1)
    etag(api, f"{stack}-b/facts/b", 2)
    query = f"?stacks={name}*,none"
    with Stream(api.url, f"/v1/events{query}&initial=true") as stream:
        found = [stream.expect("snapshot").data for _ in range(2)]
        assert [(each["project_id"], each["stack"]) for each in found] == [
            ("none", name),
            ("none", f"{name}-b"),
        ]
        assert [[fact["path"] for fact in each["facts"]] for each in found] == [["a"], ["b"]]
        bookmark = stream.expect("bookmark")
        first = etag(api, f"{stack}-c/facts/c", 3)
        api.delete(stack).raise_for_status()
        last = etag(api, f"{stack}/facts/a", 4)
        created, deleted, again = (stream.expect("change") for _ in range(3))
        assert (created.id, again.id) == (first, last)
        assert [each["stack"] for each in created.data["changes"]] == [f"{name}-c"]
        assert [each["type"] for each in deleted.data["changes"]] == ["stack.delete"]
    headers = {"Last-Event-ID": str(bookmark.id)}
    for _ in range(2):
        with Stream(api.url, f"/v1/events{query}&initial=true", headers) as stream:
            assert [stream.expect("change") for _ in range(3)] == [created, deleted, again]
    with Stream(api.url, f"/v1/events{query}&since={FOREIGN}&on_gap=error") as stream:
        refused(stream, "410 cursor_expired")
