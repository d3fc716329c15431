"""The client against the service itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factstore.client import Delete, Event, Guard, Put, Snapshot, Stack, connect, errors
from factstore.cmd.processes.etcd import EtcdServer
from tests.eventually import eventually
from tests.http import fresh_stack
from tests.service import ApiServer


@pytest.fixture
def stack(environ: dict[str, str]) -> Stack:
    """Return a stack that does not exist yet."""
    return connect(environ).stack(fresh_stack())


def meanwhile(action: Callable[[], object]) -> threading.Thread:
    """Run a function in another thread while this one waits for its effect."""
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def test_a_fact_is_read_back_unchanged(stack: Stack) -> None:
    value = {"a": [1, 1.5, None, True, "ä€"], "b": {}}
    put = stack.put("some/where", value, kind="parameter", ttl=600)
    got = stack.get("some/where")
    assert got == put
    assert (got.value, got.kind, got.ttl, got.version) == (value, "parameter", 600, 1)
    assert stack.get("some/where", stale=True).value == value


def test_putting_the_same_again_changes_nothing(stack: Stack) -> None:
    first, again = stack.put("a", 1), stack.put("a", 1)
    assert not first.unchanged
    assert again.unchanged
    assert again.etag == first.etag


def test_preconditions_are_kept(stack: Stack) -> None:
    first = stack.put("a", 1, if_absent=True)
    with pytest.raises(errors.PreconditionFailed) as raised:
        stack.put("a", 2, if_absent=True)
    assert raised.value.etag == first.etag
    second = stack.put("a", 2, if_match=first.etag)
    with pytest.raises(errors.PreconditionFailed) as raised:
        stack.delete("a", if_match=first.etag)
    assert raised.value.etag == second.etag
    stack.delete("a", if_match="*")
    with pytest.raises(errors.NotFound):
        stack.delete("a")


def test_a_known_etag_gives_nothing_new(stack: Stack) -> None:
    fact = stack.put("a", 1)
    assert stack.get("a", if_none_match=fact.etag) is None
    context = stack.context()
    assert stack.context(if_none_match=context.etag) is None


def test_an_idempotency_key_makes_two_writes_one(stack: Stack) -> None:
    first = stack.put("a", 1, if_absent=True, idempotency_key="k")
    assert stack.put("a", 1, if_absent=True, idempotency_key="k") == first
    with pytest.raises(errors.Conflict) as raised:
        stack.put("a", 2, if_absent=True, idempotency_key="k")
    assert raised.value.code == "contextualization.idempotency_key_reused"


def test_a_sensitive_fact_shows_its_value_where_it_is_read_and_nowhere_else(stack: Stack) -> None:
    readers = ["group/head", "member/c1"]
    put = stack.put("key", "secret", sensitive=True, readers=readers)
    assert (put.value, put.sensitive, put.readers) == ("secret", True, tuple(readers))
    assert stack.get("key") == put
    assert stack.put("key", "secret", sensitive=True, readers=readers).unchanged
    batch = stack.batch([Put("other", "secret", sensitive=True, readers=readers)])
    assert [fact.value for fact in batch.facts if fact] == [None]
    assert {fact.path: fact.value for fact in stack.snapshot().facts} == {
        "key": None,
        "other": None,
    }
    context = stack.context()
    assert context.facts == {"key": None, "other": None}
    assert context.sensitive["key"] == put.etag
    stack.put("key", "open")
    stack.delete("other")
    assert stack.context().sensitive == {}


def test_readers_without_a_sensitive_fact_are_refused(stack: Stack) -> None:
    with pytest.raises(errors.BadRequest) as raised:
        stack.put("key", 1, readers=["group/head"])
    assert raised.value.code == "contextualization.readers_invalid"


def test_a_wait_ends_when_the_fact_is_written(stack: Stack) -> None:
    writer = meanwhile(lambda: stack.put("nodes/head/ip", "10.0.0.5"))
    assert stack.wait("nodes/head/ip", timeout=60).value == "10.0.0.5"
    writer.join()


def test_a_wait_for_change_ends_with_the_change(stack: Stack) -> None:
    first = stack.put("a", 1)
    writer = meanwhile(lambda: stack.put("a", 2))
    second = stack.get("a", if_none_match=first.etag, wait=50)
    assert second is not None
    assert second.value == 2
    writer.join()


def test_pages_show_one_revision_and_their_cursor_misses_nothing(stack: Stack) -> None:
    stack.batch([Put(f"n/{number}", number) for number in range(5)])
    pages = stack.list("n", limit=2)
    first = next(pages)
    stack.put("n/9", "too late")
    rest = list(pages)
    assert [fact.value for page in (first, *rest) for fact in page.facts] == [0, 1, 2, 3, 4]
    assert {page.cursor for page in rest} == {first.cursor}
    with stack.watch(first.cursor) as watch:
        event = next(watch)
        assert isinstance(event, Event)
        assert [change.path for change in event.changes] == ["n/9"]


def test_a_batch_is_all_or_nothing(stack: Stack) -> None:
    done = stack.batch([Put("a", 1), Delete("b")], [Guard.absent("a")])
    assert done.outcomes == ("created", "absent")
    assert [fact and fact.value for fact in done.facts] == [1, None]
    with pytest.raises(errors.PreconditionFailed):
        stack.batch([Put("c", 1)], [Guard.etag("a", "0000000000000000.1")])
    assert [fact.path for fact in stack.snapshot().facts] == ["a"]
    done = stack.batch([Put("a", 1), Delete("a/b")], [Guard.exists("a")])
    assert done.outcomes == ("unchanged", "absent")
    assert done.facts[0] is not None
    assert done.facts[0].unchanged


def test_a_context_nests_facts_and_keeps_results_apart(stack: Stack) -> None:
    stack.batch([Put("nodes/c1/ip", "10.0.0.11"), Put("results/c1/x", 0)])
    assert stack.context().facts == {"nodes": {"c1": {"ip": "10.0.0.11"}}}
    assert stack.context(results=True).facts["results"] == {"c1": {"x": 0}}


def test_settings_and_usage_are_described(stack: Stack, environ: dict[str, str]) -> None:
    stack.configure(description="for a test")
    stack.put("a", 1)
    described = stack.describe()
    assert described.settings == {"description": "for a test", "keep_values": 0}
    assert described.usage is not None
    assert described.usage["facts"] == 1
    assert stack.name in [record.name for record in connect(environ).stacks(limit=2)]


def test_a_watch_yields_every_event_and_ends_with_the_stack(stack: Stack) -> None:
    stack.put("a", 0)
    watch = stack.watch()
    stack.put("a", 1)
    events = [next(watch)]
    stack.put("a", 1)  # nothing new
    stack.batch([Put("a", 2), Put("b", 1)])
    stack.delete("a")
    stack.delete_stack()
    events += watch
    types = [[change.type for change in item.changes] for item in events if isinstance(item, Event)]
    assert types == [["fact.put"], ["fact.put"] * 2, ["fact.delete"], ["stack.delete"]]


def test_a_watch_can_be_filtered(stack: Stack) -> None:
    stack.put("a", 1)
    with stack.watch(prefix="n", types=["fact.delete"]) as watch:
        stack.batch([Put("n/1", 1), Put("n1", 1)])
        stack.batch([Delete("n/1"), Delete("n1")])
        event = next(watch)
    assert isinstance(event, Event)
    assert [(change.type, change.path) for change in event.changes] == [("fact.delete", "n/1")]


def test_a_foreign_cursor_is_answered_with_a_snapshot(stack: Stack) -> None:
    stack.put("a", 1)
    with stack.watch("0123456789abcdef.1") as watch:
        item = next(watch)
    assert isinstance(item, Snapshot)
    assert item.reset
    assert [fact.path for fact in item.facts] == ["a"]


@pytest.fixture
def own_api(etcd: EtcdServer, tmp_path: Path) -> Iterator[ApiServer]:
    """A service that a test may restart."""
    with ApiServer([etcd.endpoint], tmp_path / "api") as server:
        yield server


def test_a_watch_outlives_restarts_of_the_service(own_api: ApiServer) -> None:
    environ = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": own_api.url}
    stack = connect(environ).stack(fresh_stack())
    stack.put("n", 0)
    watch = stack.watch(initial=True)
    first = next(watch)
    assert isinstance(first, Snapshot)
    events: list[Event] = []

    def write() -> None:
        try:
            for number in range(1, 31):
                stack.put("n", number, idempotency_key=f"{stack.name}-{number}")
                if number == 10:
                    own_api.restart()
                if number == 20:
                    own_api.kill()
                    own_api.start()
            # A watch that reconnects after the deletion finds no stack.
            eventually(lambda: len(events) >= 30)
        finally:
            stack.delete_stack()  # or the watch would have no end

    writer = meanwhile(write)
    for item in watch:
        if isinstance(item, Event):
            events.append(item)
    writer.join()
    *puts, last = [change for event in events for change in event.changes]
    assert [change.fact and change.fact.value for change in puts] == list(range(1, 31))
    assert last.type == "stack.delete"
