"""The watch over broken connections: it yields each event exactly once."""

from __future__ import annotations

import itertools
import json
import logging
import threading

import pytest

from factstore.client import Bookmark, Event, Snapshot, StacksSnapshot, Watch, errors
from tests.cases import cases
from tests.unit.agent.factories import member
from tests.unit.client.stub import (
    FakeClock,
    Service,
    answer,
    bookmark,
    change,
    client_at,
    fact,
    goodbye,
    hang_up,
    refusal,
    reset,
    snapshot,
    stack_delete,
    stream,
)

PING = b": ping\n\n"


def cursors_of(watch: Watch) -> list[str]:
    """Return the cursors of all items until the stack is deleted."""
    return [item.cursor for item in watch]


def test_a_watch_yields_events_and_ends_with_the_stack(service: Service, clock: FakeClock) -> None:
    service.will(stream(PING, change(2), PING, change(3) + stack_delete(4), goodbye("over", 9)))
    watch = service.stack(clock).watch("e.1", prefix="a", types=["fact.put", "stack.delete"])
    events = list(watch)
    assert [event.cursor for event in events if isinstance(event, Event)] == ["e.2", "e.3", "e.4"]
    assert events[0] == Event.parse(
        {
            "cursor": "e.2",
            "changes": [
                {"type": "fact.put", "path": "a", "fact": fact("a", 1, 2)}
                | {"previous": None, "by": "somebody", "request_id": "req-2"}
            ],
        }
    )
    (call,) = service.calls
    assert call.path == "/v1/stacks/slurm/events"
    assert call.headers["Last-Event-ID"] == "e.1"
    assert call.headers["Accept"] == "text/event-stream"
    assert call.query == {"prefix": "a", "types": "fact.put,stack.delete"}


LIFE = (change(2) + PING + change(3, "b"), bookmark(5) + change(6), PING + stack_delete(7))


WHOLE = b"".join(LIFE)
# Not at each byte, to save time, but at all positions around the ends of lines.
CUTS = sorted(
    {
        *range(0, len(WHOLE), 53),
        *(
            cut
            for end in range(len(WHOLE))
            if WHOLE[end : end + 1] == b"\n"
            for cut in (end, end + 1)
            if cut < len(WHOLE)
        ),
    }
)


def test_a_stream_cut_anywhere_resumes_after_the_last_whole_frame(
    service: Service, clock: FakeClock
) -> None:
    frames = {2: change(2), 3: change(3, "b"), 5: bookmark(5), 6: change(6), 7: stack_delete(7)}
    with cases() as case:
        for cut, chunked in itertools.product(CUTS, (True, False)):
            first = WHOLE[:cut]
            arrived = first.rpartition(b"\n\n")[0]
            seen = [number for number in (2, 3, 5, 6) if f"id: e.{number}\n".encode() in arrived]
            resumed = seen[-1] if seen else 1
            rest = [frame for number, frame in frames.items() if number > resumed]
            service.will(stream(first, chunked=chunked), stream(*rest, chunked=chunked))
            with case(f"cut at {cut}, {'chunked' if chunked else 'not chunked'}"):
                cursors = cursors_of(service.stack(clock).watch("e.1"))
                assert cursors == ["e.2", "e.3", "e.6", "e.7"]
                assert service.calls[-1].headers["Last-Event-ID"] == f"e.{resumed}"


def test_after_a_goodbye_the_watch_pauses_and_reconnects(
    service: Service, clock: FakeClock
) -> None:
    farewell = stream(change(2), goodbye("stopping", 2500))
    service.will(farewell, stream(change(3)), stream(stack_delete(4)))
    assert cursors_of(service.stack(clock).watch("e.1")) == ["e.2", "e.3", "e.4"]
    assert service.calls[1].headers["Last-Event-ID"] == "e.2"
    assert 2.5 <= clock.pauses[0] < 3
    assert clock.pauses[1] < 1  # it held for that once


def test_a_bookmark_moves_the_cursor_and_is_yielded_on_request(
    service: Service, clock: FakeClock
) -> None:
    service.will(stream(bookmark(8)), stream(bookmark(9)), stream(stack_delete(10)))
    watch = service.stack(clock).watch("e.1", bookmarks=True)
    assert next(watch) == Bookmark("e.8")
    assert watch.cursor == "e.8"
    assert cursors_of(watch) == ["e.9", "e.10"]
    assert [call.headers["Last-Event-ID"] for call in service.calls] == ["e.1", "e.8", "e.9"]


def test_a_watch_waits_for_an_unavailable_service(service: Service, clock: FakeClock) -> None:
    busy = refusal(503, "store_unavailable", {"Retry-After": "20"})
    service.will(busy, hang_up, busy, answer(502), busy, stream(stack_delete(2)))
    assert cursors_of(service.stack(clock).watch("e.1")) == ["e.2"]
    assert clock.now >= 1060


def test_the_patience_of_a_watch_can_be_limited(
    service: Service, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    busy = refusal(503, "store_unavailable", {"Retry-After": "4"})
    service.will(stream(change(2)), *[busy] * 4)
    watch = service.stack(clock).watch("e.1", retry_for=10)
    assert next(watch).cursor == "e.2"
    with pytest.raises(errors.Unavailable):
        next(watch)
    # The first interruption is usual. The later ones are warnings, which Python prints by default.
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert "is interrupted and reconnects" in caplog.messages[0]


def test_patience_starts_again_with_each_outage(service: Service, clock: FakeClock) -> None:
    busy = refusal(503, "store_unavailable", {"Retry-After": "4"})
    service.will(busy, busy, stream(change(2)), busy, busy, stream(stack_delete(3)))
    assert cursors_of(service.stack(clock).watch("e.1", retry_for=10)) == ["e.2", "e.3"]


@pytest.mark.parametrize("chunked", [True, False])
def test_an_event_is_yielded_when_it_arrives(
    service: Service, clock: FakeClock, chunked: bool
) -> None:
    service.will(stream(change(2), chunked=chunked, hold=service))
    with service.stack(clock, stream_silence=2).watch("e.1") as watch:
        assert next(watch).cursor == "e.2"


def test_a_snapshot_is_yielded_whole(service: Service, clock: FakeClock) -> None:
    parts = [snapshot(fact("a", 1), fact("b", 2)), snapshot(fact("c", 3)), bookmark(5)]
    service.will(stream(*parts, change(6), stack_delete(7)))
    first, *others = service.stack(clock).watch(initial=True)
    assert isinstance(first, Snapshot)
    assert [one.path for one in first.facts] == ["a", "b", "c"]
    assert (first.cursor, first.reset) == ("e.5", None)
    assert [item.cursor for item in others] == ["e.6", "e.7"]
    assert service.calls[0].query == {"initial": "true"}
    assert "Last-Event-ID" not in service.calls[0].headers


def test_a_snapshot_has_the_members_and_waiters_of_all_its_frames(
    service: Service, clock: FakeClock
) -> None:
    waiter = {"name": "w", "state": "pending", "reason": None, "revision": 3}
    definition = {"success": {"signals": 1}, "failure": None, "timeout": 60}
    parts = [
        {"facts": [fact("a", 1)], "members": [member(name="c1")], "waiters": []},
        {"facts": [], "members": [member(name="c2")], "waiters": [{**waiter, **definition}]},
    ]
    frames = [f"event: snapshot\ndata: {json.dumps(part)}\n\n".encode() for part in parts]
    service.will(stream(*frames, bookmark(5), stack_delete(6)))
    first, _ = service.stack(clock).watch(initial=True, prefix="a", group="compute", alarm="busy")
    assert isinstance(first, Snapshot)
    assert [one.path for one in first.facts] == ["a"]
    assert [one.name for one in first.members] == ["c1", "c2"]
    assert [one.name for one in first.waiters] == ["w"]
    filters = {"prefix": "a", "group": "compute", "alarm": "busy"}
    assert service.calls[0].query == {"initial": "true", **filters}


def test_an_empty_stack_has_a_snapshot_too(service: Service, clock: FakeClock) -> None:
    service.will(stream(bookmark(5), stack_delete(6)))
    first, _ = service.stack(clock).watch(initial=True)
    assert first == Snapshot((), "e.5")


def test_an_interrupted_snapshot_starts_again(service: Service, clock: FakeClock) -> None:
    service.will(
        stream(snapshot(fact("a", 1)), snapshot(fact("b", 2))),
        stream(snapshot(fact("a", 9)), bookmark(8), stack_delete(9)),
    )
    first, _ = service.stack(clock).watch(initial=True)
    assert isinstance(first, Snapshot)
    assert first.cursor == "e.8"
    assert [(one.path, one.value) for one in first.facts] == [("a", 9)]
    assert service.calls[1].query == {"initial": "true"}


def test_a_reset_is_yielded_as_a_snapshot_that_replaces_all(
    service: Service, clock: FakeClock
) -> None:
    service.will(
        stream(change(2), reset("history is gone"), snapshot(fact("a", 1))),
        stream(snapshot(fact("b", 1)), bookmark(40), stack_delete(41)),
    )
    _, replaced, _ = service.stack(clock).watch("e.1")
    assert isinstance(replaced, Snapshot)
    assert [one.path for one in replaced.facts] == ["b"]
    assert replaced.reset == "history is gone"
    assert service.calls[1].query == {"initial": "true"}


def test_an_event_that_is_sent_again_is_not_yielded_again(
    service: Service, clock: FakeClock
) -> None:
    service.will(stream(change(2)), stream(change(2), stack_delete(3)))
    assert cursors_of(service.stack(clock).watch("e.1")) == ["e.2", "e.3"]


def test_a_watch_from_now_begins_when_it_is_created(service: Service, clock: FakeClock) -> None:
    service.will(answer(200, {"events": [], "next": "e.7", "more": False}))
    watch = service.stack(clock).watch()
    assert watch.cursor == "e.7"
    service.will(hang_up, stream(stack_delete(8)))
    assert cursors_of(watch) == ["e.8"]
    assert [call.headers.get("Last-Event-ID") for call in service.calls] == [None, "e.7", "e.7"]


def test_a_silent_connection_counts_as_dead(service: Service, clock: FakeClock) -> None:
    service.will(stream(change(2), hold=service), stream(stack_delete(3)))
    stack = service.stack(clock, stream_silence=0.05)
    assert cursors_of(stack.watch("e.1")) == ["e.2", "e.3"]


@pytest.mark.parametrize(
    "junk",
    [
        b"event: change\ndata: {\n\n",
        b"event: change\ndata: []\n\n",
        b"event: change\ndata: {}\n\n",
        b'event: change\ndata: {"cursor":"e.2","changes":[{}]}\n\n',
        b"event: bookmark\ndata: 7\n\n",
        b"event: snapshot\ndata: null\n\n",
    ],
)
def test_junk_breaks_the_connection_and_is_an_error_when_repeated(
    service: Service, clock: FakeClock, junk: bytes
) -> None:
    service.will(stream(junk), stream(change(2), junk), stream(junk))
    watch = service.stack(clock).watch("e.1")
    assert next(watch).cursor == "e.2"
    with pytest.raises(errors.UnexpectedAnswer):
        next(watch)


def test_unknown_frames_of_a_later_version_are_skipped(service: Service, clock: FakeClock) -> None:
    later = b'event: weather\ndata: {"sun": true}\n\nretry: 100\n\n'
    service.will(stream(later, change(2), later, stack_delete(3)))
    assert cursors_of(service.stack(clock).watch("e.1")) == ["e.2", "e.3"]


def test_an_answer_that_is_not_an_event_stream_is_an_error(
    service: Service, clock: FakeClock
) -> None:
    service.will(answer(200, {"events": []}))
    with pytest.raises(errors.UnexpectedAnswer):
        next(service.stack(clock).watch("e.1"))


def test_a_stack_deleted_meanwhile_is_missing(service: Service, clock: FakeClock) -> None:
    service.will(stream(change(2)), refusal(404, "not_found"))
    watch = service.stack(clock).watch("e.1")
    assert next(watch).cursor == "e.2"
    with pytest.raises(errors.NotFound):
        next(watch)


def test_a_refused_watch_is_not_repeated(service: Service, clock: FakeClock) -> None:
    service.will(refusal(400, "cursor_invalid"))
    with pytest.raises(errors.BadRequest):
        next(service.stack(clock).watch("nonsense"))
    assert clock.pauses == []


def test_another_thread_can_end_a_watch_that_waits(service: Service, clock: FakeClock) -> None:
    service.will(stream(change(2), hold=service))
    with service.stack(clock).watch("e.1") as watch:
        assert next(watch).cursor == "e.2"
        threading.Timer(0.05, watch.close).start()
        assert list(watch) == []


def test_a_watch_can_be_closed_after_any_item(service: Service, clock: FakeClock) -> None:
    service.will(stream(change(2), change(3), hold=service))
    with service.stack(clock).watch("e.1") as watch:
        assert [item.cursor for item in itertools.islice(watch, 1)] == ["e.2"]
    assert watch.cursor == "e.2"
    assert list(watch) == []


def test_a_watch_of_many_stacks_has_their_snapshot_and_continues_after_a_deletion(
    service: Service, clock: FakeClock
) -> None:
    def part(stack: str, *facts: dict[str, object]) -> bytes:
        content = {"project_id": "p", "stack": stack, "facts": facts}
        return f"event: snapshot\ndata: {json.dumps(content)}\n\n".encode()

    gone = b"history is gone"
    service.will(
        stream(part("a", fact("x", 1, 1)), part("a", fact("y", 2, 1)), part("b"), bookmark(5)),
        stream(stack_delete(6), change(7), goodbye("over", 9)),
        stream(reset(gone.decode()), part("b", fact("z", 3, 8)), bookmark(9)),
    )
    client = client_at(service.url, clock)
    watch = client.watch(
        ["a", "b*"], prefixes=["n", "x"], alarms=["c", "d"], types=["fact.put"], initial=True
    )
    first, deleted, changed, again = itertools.islice(watch, 4)
    assert isinstance(first, StacksSnapshot)
    assert [(each.stack, [f.path for f in each.facts]) for each in first.stacks] == [
        ("a", ["x", "y"]),
        ("b", []),
    ]
    assert [first.cursor, deleted.cursor, changed.cursor] == ["e.5", "e.6", "e.7"]
    assert isinstance(again, StacksSnapshot)
    assert (again.reset, again.cursor, len(again.stacks)) == ("history is gone", "e.9", 1)
    assert [call.headers.get("Last-Event-ID") for call in service.calls] == [None, "e.5", "e.7"]
    query = {"stacks": "a,b*", "prefix": "n,x", "alarm": "c,d", "types": "fact.put"}
    assert service.calls[0].path == "/v1/events"
    assert service.calls[0].query == {**query, "initial": "true"}
    assert service.calls[1].query == query


def test_a_watch_of_many_stacks_begins_with_its_creation(
    service: Service, clock: FakeClock
) -> None:
    service.will(answer(200, {"events": [], "next": "e.3", "more": False}), stream(change(4)))
    watch = client_at(service.url, clock).watch(project_id="p", settle=1)
    assert next(watch).cursor == "e.4"
    assert service.calls[0].query == {"project_id": "p"}
    assert service.calls[1].headers["Last-Event-ID"] == "e.3"
