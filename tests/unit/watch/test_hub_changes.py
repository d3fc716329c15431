"""Changes without events wake the readers that wait for them, and are remembered in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change, Event
from factstore.core.model.fact import Scope
from factstore.watch import channel as channels
from factstore.watch import hub_readers as hubs
from factstore.watch.channel import Channel
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.unit.core.records import member

EPOCH = "e" * 16
ONE, OTHER = Scope("p", "one"), Scope("p", "other")
LONG = 120.0  # reached only if the test fails


def cursor(revision: int, epoch: str = EPOCH) -> Cursor:
    return Cursor(epoch, revision)


class Parking(threading.Event):
    """A wake-up that reports when a reader waits for it, and can call a function just before."""

    parked = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        type(self).parked.release()
        return super().wait(timeout)


@pytest.fixture
def hub() -> Hub:
    Parking.parked = threading.Semaphore(0)
    made = Hub(HistoryLimits(9, 9999, 900), Parking)
    made.reset(cursor(0))
    return made


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def wait(threads: ThreadPoolExecutor, hub: Hub, scope: Scope, after: int) -> Future[bool]:
    """Start a waiting reader, and return once it waits."""
    waiting = threads.submit(hub.wait_change, scope, cursor(after), LONG)
    assert Parking.parked.acquire(timeout=LONG)
    return waiting


def test_a_change_between_read_and_wait_is_not_missed(hub: Hub) -> None:
    hub.publish(5, (), {ONE: ()})
    assert hub.wait_change(ONE, cursor(4), 0)
    assert not hub.wait_change(ONE, cursor(5), 0)


def test_a_change_wakes_the_readers_of_its_stack_alone(
    hub: Hub, threads: ThreadPoolExecutor
) -> None:
    waiting = wait(threads, hub, ONE, 4)
    other = wait(threads, hub, OTHER, 4)
    hub.publish(5, (), {ONE: ()})
    assert waiting.result(LONG)
    assert not other.done()
    hub.close()
    assert other.result(LONG)


def test_a_change_wakes_all_readers_of_the_stack(hub: Hub, threads: ThreadPoolExecutor) -> None:
    waiting = [wait(threads, hub, ONE, after) for after in (3, 4, 4)]
    hub.publish(5, (), {OTHER: (), ONE: ()})
    assert all(one.result(LONG) for one in waiting)


def test_a_wait_without_a_change_lasts_until_its_timeout(hub: Hub) -> None:
    hub.publish(5, (), {OTHER: ()})
    assert not hub.wait_change(ONE, cursor(5), 0.01)


@given(
    st.lists(
        st.tuples(st.sampled_from(["tell", "read", "wait", "reset"]), st.integers(0, 2)),
        max_size=30,
    )
)
def test_a_wait_ends_at_once_only_after_a_change_since_the_read(
    steps: list[tuple[str, int]],
) -> None:
    # The pump changes the state first and publishes afterwards; a waiting reader has read the state.
    hub, revision = Hub(HistoryLimits(9, 9999, 900)), 10
    scopes = [Scope("p", str(n)) for n in range(3)]
    moved, read = dict.fromkeys(scopes, 10), dict.fromkeys(scopes, 10)
    hub.reset(cursor(10))
    for step, which in steps:
        scope = scopes[which]
        match step:
            case "tell":
                revision += 1
                moved[scope] = revision
                hub.publish(revision, (), {scope: ()})
            case "read":
                read[scope] = revision
            case "reset":  # the readers have read the new state
                revision -= 5
                hub.reset(cursor(revision))
                moved = dict.fromkeys(scopes, revision)
                read = dict.fromkeys(scopes, revision)
            case "wait":
                assert hub.wait_change(scope, cursor(read[scope]), 0) == (
                    moved[scope] > read[scope]
                )


def test_a_reset_wakes_all_readers_once(hub: Hub, threads: ThreadPoolExecutor) -> None:
    hub.publish(50, (), {ONE: ()})
    waiting = wait(threads, hub, ONE, 50)
    hub.reset(cursor(7))
    assert waiting.result(LONG)
    assert not hub.wait_change(ONE, cursor(7), 0), (
        "nothing has changed since the state was reloaded"
    )
    assert not hub.wait_change(ONE, cursor(50), 0), "an old revision must not end every wait"
    assert hub.wait_change(ONE, cursor(7, "another"), 0), "its store was replaced"
    again = wait(threads, hub, ONE, 7)
    hub.publish(8, (), {ONE: ()})
    assert again.result(LONG)


def test_closing_wakes_all_readers_and_ends_later_waits_at_once(
    hub: Hub, threads: ThreadPoolExecutor
) -> None:
    waiting = [wait(threads, hub, scope, 1) for scope in (ONE, ONE, OTHER)]
    hub.close()
    assert all(one.result(LONG) for one in waiting)
    assert hub.wait_change(ONE, cursor(1), LONG)


def test_the_stacks_that_changed_longest_ago_are_forgotten_and_count_as_changed(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "IDLE_CHANNELS", 5)
    hub.reset(cursor(0))
    for revision in range(1, 101):
        hub.publish(revision, (), {Scope("p", str(revision)): ()})
    assert len(hub._channels) == 5
    assert hub.wait_change(Scope("p", "1"), cursor(0), 0)
    assert hub.wait_change(Scope("p", "never"), cursor(94), 0), "it may be one of those forgotten"
    assert not hub.wait_change(Scope("p", "never"), cursor(95), 0)
    assert hub.wait_change(Scope("p", "95"), cursor(94), 0)
    assert not hub.wait_change(Scope("p", "95"), cursor(95), 0)


def test_waits_for_stacks_that_never_existed_leave_little_behind(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "IDLE_CHANNELS", 5)
    hub.reset(cursor(0))
    for n in range(100):
        assert not hub.wait_change(Scope("p", str(n)), cursor(1), 0)
    assert len(hub._channels) <= 10


def test_stacks_that_cannot_be_forgotten_are_not_searched_at_each_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hubs, "IDLE_CHANNELS", 5)
    hub = Hub(HistoryLimits(1000, 10**9, 900))
    searched: list[object] = []
    monkeypatch.setattr(Channel, "idle", property(lambda channel: bool(searched.append(channel))))
    for revision in range(1, 101):
        scope = Scope("p", str(revision))
        hub.publish(revision, [Event(scope, "s", revision, ())], {scope: ()})
    assert len(hub._channels) == 100
    assert 100 < len(searched) < 100 * 100 / 4


def test_a_stack_with_a_waiting_reader_is_not_forgotten(
    hub: Hub, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "IDLE_CHANNELS", 2)
    hub.reset(cursor(0))
    waiting = wait(threads, hub, ONE, 1)
    hub.publish(2, (), {Scope("p", str(n)): () for n in range(9)})
    assert not waiting.done()
    hub.publish(3, (), {ONE: ()})
    assert waiting.result(LONG)


def test_no_change_is_lost_between_a_read_and_the_wait(hub: Hub) -> None:
    # One thread increments a counter, and others wait for each step once.
    revision, ends = [0], 300
    seen: list[int] = []

    def follow() -> None:
        at = 0
        while at < ends:
            assert hub.wait_change(ONE, cursor(at), LONG)
            at = revision[0]
        seen.append(at)

    readers = [threading.Thread(target=follow) for _ in range(4)]
    for reader in readers:
        reader.start()
    for at in range(1, ends + 1):
        revision[0] = at
        hub.publish(at, (), {ONE: ()})
    for reader in readers:
        reader.join(LONG)
    assert seen == [ends] * 4


# Read sets


def test_a_reader_waits_for_the_changes_that_concern_its_read_set(
    hub: Hub, threads: ThreadPoolExecutor
) -> None:
    hub.publish(5, (), {ONE: ["x"]})
    assert hub.wait_concern(ONE, "x", cursor(4), 0)
    waiting = threads.submit(hub.wait_concern, ONE, "x", cursor(5), LONG)
    assert Parking.parked.acquire(timeout=LONG)
    hub.publish(6, (), {ONE: ["y"], OTHER: ["x"]})
    hub.publish(7, (), {ONE: ()})
    assert not waiting.done()
    hub.publish(8, (), {ONE: ["x", "y"]})
    assert waiting.result(LONG)
    assert not hub.wait_concern(ONE, "x", cursor(8), 0)


def test_a_read_set_counts_as_concerned_if_that_is_not_known(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.reset(cursor(3))
    assert hub.wait_concern(ONE, "x", cursor(2), 0)
    assert not hub.wait_concern(ONE, "x", cursor(3), 0)
    monkeypatch.setattr(channels, "READ_SETS", 2)
    hub.publish(5, (), {ONE: ["x", "y", "z"]})
    assert hub.wait_concern(ONE, "other", cursor(4), 0)
    assert not hub.wait_concern(ONE, "other", cursor(5), 0)


@pytest.mark.parametrize("end", [Hub.close, lambda hub: hub.reset(cursor(9))])
def test_the_end_of_the_history_wakes_readers_with_a_read_set(
    hub: Hub, threads: ThreadPoolExecutor, end: Callable[[Hub], None]
) -> None:
    waiting = threads.submit(hub.wait_concern, ONE, "x", cursor(0), LONG)
    assert Parking.parked.acquire(timeout=LONG)
    end(hub)
    assert waiting.result(LONG)


def delete_stack(hub: Hub) -> None:
    deletion = Change("stack.delete", None, None, None, "u", "r")
    hub.publish(6, [Event(ONE, "s1", 6, (deletion,))], {ONE: []})


@pytest.mark.parametrize("end", [Hub.close, lambda hub: hub.reset(cursor(9)), delete_stack])
def test_a_pause_is_ended_by_no_change_but_the_deletion_of_the_stack_and_the_end_of_the_history(
    hub: Hub, threads: ThreadPoolExecutor, end: Callable[[Hub], None]
) -> None:
    pausing = threads.submit(hub.pause, ONE, LONG)
    assert Parking.parked.acquire(timeout=LONG)
    hub.publish(5, [Event(ONE, "s1", 5, ())], {ONE: []})
    assert not pausing.done()
    end(hub)
    pausing.result(LONG / 2)


def test_a_stack_is_quiet_since_its_last_event_or_the_last_that_concerned_a_read_set() -> None:
    now = 10.0
    hub = Hub(HistoryLimits(9, 9999, 900), Parking, lambda: now)
    now = 11.0
    hub.publish(5, [Event(ONE, "s1", 5, ())], {ONE: ["x"]})
    now = 12.0
    hub.publish(6, [Event(ONE, "s1", 6, ())], {ONE: []})
    now = 13.0
    hub.publish(7, (), {ONE: []})
    assert hub.quiet_since(ONE) == 12.0
    assert hub.quiet_since(ONE, "x") == 11.0
    assert hub.quiet_since(ONE, "never concerned") == hub.quiet_since(OTHER) == 10.0
    now = 14.0
    hub.reset(cursor(9))
    assert hub.quiet_since(ONE) == 14.0


def test_the_own_events_of_a_member_do_not_disturb_its_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "OWN_EVENTS", 3)
    now = 10.0
    hub = Hub(HistoryLimits(4, 9999, 900), Parking, lambda: now)

    def happens(*changes: Change) -> None:
        nonlocal now
        now += 1
        hub.publish(round(now), [Event(ONE, "s1", round(now), changes)], {ONE: ()})

    def put(path: str) -> Change:
        return Change("fact.put", path, None, None, "u", "r")

    def joins(name: str) -> Change:
        return Change("member.join", None, None, None, "u", "r", member(name, 5))

    def expires(name: str) -> Change:
        return Change("member.expire", None, None, None, None, None, None, member(name, 5))

    happens(joins("c1"))
    happens(put("nodes/c1/ip"), put("results/c1/x"))
    assert hub.quiet_since(ONE, unless_of="c1") == 10.0
    assert hub.quiet_since(ONE, unless_of="c10") == hub.quiet_since(ONE) == 12.0
    for others in (
        [put("nodes/c10/ip")],
        [put("nodes/c1")],
        [put("c1/nodes/ip")],
        [put("nodes/c1/ip"), put("nodes/c2/ip")],
        [joins("c2")],
        [expires("c2")],
        [Change("waiter.met", None, None, None, None, None)],
    ):
        happens(*others)
        at = now
        happens(expires("c1"))
        assert hub.quiet_since(ONE, unless_of="c1") == at
    for _ in range(5):  # more than are looked at, and then more than are in memory
        happens(put("nodes/c1/ip"))
        assert hub.quiet_since(ONE, unless_of="c1") <= now
    assert hub.quiet_since(ONE, unless_of="c1") == now - 2
    monkeypatch.setattr(channels, "OWN_EVENTS", 9)
    assert at < hub.quiet_since(ONE, unless_of="c1") < now
