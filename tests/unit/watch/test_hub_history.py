"""The hub's history: what it drops first, and what its readers learn of that."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from factstore.core.errors import CursorExpired
from factstore.core.model.fact import Scope
from factstore.core.ports import EventBatch, Kept
from factstore.watch.history import HistoryLimits
from tests.eventually import eventually
from tests.unit.core.factories import ManualClock
from tests.unit.watch.hubs import (
    A,
    B,
    C,
    cursor,
    event,
    everything,
    new_hub,
    publish,
    revisions,
)


def test_a_reader_whose_history_was_dropped_sees_a_gap() -> None:
    hub = new_hub(HistoryLimits(2, 10**6, 900))
    for revision in (1, 2, 3):
        publish(hub, revision, [event(A, revision)])
    assert revisions(everything(hub, A, 1)) == [2, 3]
    with pytest.raises(CursorExpired):
        everything(hub, A, 0)


def test_an_event_too_large_for_the_history_is_a_gap() -> None:
    hub = new_hub(HistoryLimits(10, 5_000, 900))
    publish(hub, 1, [event(A, 1, 50_000)])
    with pytest.raises(CursorExpired):
        everything(hub, A, 0)
    assert everything(hub, A, 1) == EventBatch((), 1, more=False)


def test_dropped_events_leave_memory() -> None:
    class Note(str):
        """A string that can be referred to weakly."""

    hub = new_hub(HistoryLimits(3, 10**6, 900))
    notes = []
    for revision in range(1, 200):
        made = event((A, B)[revision % 2], revision)
        note = Note(revision)
        made.memo["note"] = note
        notes.append(weakref.ref(note))
        publish(hub, revision, [made])
    del made, note
    gc.collect()
    assert sum(note() is not None for note in notes) == 3


def test_scopes_without_events_and_readers_leave_nothing_behind() -> None:
    hub = new_hub(HistoryLimits(3, 10**6, 900))
    for revision in range(1, 100):
        scope = Scope("project", f"s{revision}")
        hub.wait(scope, cursor(revision), 0)
        publish(hub, revision, [event(scope, revision)])
        hub.wait(scope, cursor(revision), 0)
    hub.reset(cursor(1000))
    assert not hub._channels  # type: ignore[attr-defined]


def test_a_large_event_is_delivered_whole_whatever_the_limit() -> None:
    hub = new_hub(HistoryLimits(10, 10**6, 900))
    publish(hub, 1, [event(A, 1, 2_000, changes=20)])
    publish(hub, 2, [event(A, 2)])
    first = hub.read(A, cursor(0), events=10, size=1)
    assert [len(told.changes) for told in first.events] == [20]
    assert (first.upto, first.more) == (1, True)
    assert revisions(hub.read(A, cursor(first.upto), events=10, size=1)) == [2]


def test_a_stack_that_floods_the_history_does_not_affect_readers_of_others() -> None:
    hub = new_hub(HistoryLimits(4, 10**9, 900))
    publish(hub, 1, [event(A, 1)])
    for revision in range(2, 50):
        publish(hub, revision, [event(B, revision)])
    assert everything(hub, C, 1) == EventBatch((), 49, more=False)
    assert revisions(everything(hub, A, 0)) == [1]
    with pytest.raises(CursorExpired):
        everything(hub, B, 45)
    assert revisions(everything(hub, B, 46)) == [47, 48, 49]


def test_a_large_event_is_kept_until_the_watchers_that_wait_for_it_have_run() -> None:
    hub = new_hub(HistoryLimits(100, 50_000, 900))
    for revision in range(1, 5):
        publish(hub, revision, [event(B, revision, 1_000), event(C, revision, 1_000)])
    publish(hub, 5, [event(A, 5, 1)])
    read: list[EventBatch] = []

    def follow() -> None:
        assert hub.wait(A, cursor(5), 60)
        read.append(everything(hub, A, 5))

    watcher = threading.Thread(target=follow)
    watcher.start()
    eventually(lambda: hub._channels[A].readers)
    publish(hub, 6, [event(A, 6, 60_000, changes=5)])
    watcher.join()
    assert revisions(read[0]) == [6]
    assert revisions(everything(hub, B, 0)) == revisions(everything(hub, C, 0)) == [1, 2, 3, 4]
    publish(hub, 7, [event(B, 7)])
    with pytest.raises(CursorExpired):
        everything(hub, A, 5)
    assert revisions(everything(hub, B, 0)) == [1, 2, 3, 4, 7]


QUIET = [Scope("quiet", "a"), Scope("quiet", "b"), Scope("noisy", "quiet")]
NOISE: dict[str, list[tuple[Scope, int]]] = {
    "a stack": [(Scope("noisy", "s"), 1)] * 500,
    "a large event": [(Scope("noisy", "s"), 300)],
    "large events": [(Scope("noisy", f"s{n}"), 50) for n in range(9)],
    "a project of many stacks": [(Scope("noisy", f"s{n}"), 1) for n in range(500)],
}
"""Stacks, and the number of changes of an event in each."""


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_noise_takes_no_history_of_other_projects_and_of_smaller_stacks(
    noise: list[tuple[Scope, int]],
) -> None:
    hub = new_hub(HistoryLimits(1_000, 300_000, 900))
    for number in range(10):
        publish(hub, number + 1, [event(scope, number + 1, 100) for scope in QUIET])
    for number, (scope, changes) in enumerate(noise):
        publish(hub, 11 + number, [event(scope, 11 + number, 1_000, changes)])
    assert hub.depth[1] <= 300_000
    assert hub.floor(noise[0][0], "e1") > 0
    for scope in QUIET[:2]:
        assert len(everything(hub, scope, 0).events) == 10
        assert hub.floor(scope, "e1") == 0
    # Of a project's own stacks, each has as much as the others.
    least = min((kept.bytes for kept in hub.kept("noisy").values()), default=0)
    assert hub.kept("noisy").get(QUIET[2], Kept(0, 0)).bytes >= min(
        least, 10 * event(A, 1, 100).size
    )


def test_events_that_are_not_recent_are_dropped_first() -> None:
    clock = ManualClock()
    hub = new_hub(HistoryLimits(10, 10**9, 900), now=clock.monotonic)
    for revision in range(1, 6):
        publish(hub, revision, [event(Scope("past", f"s{revision}"), revision)])
    clock.advance(901)
    for revision in range(6, 11):
        publish(hub, revision, [event(A, revision)])
    assert len(hub.kept("past")) == 5  # there is room
    publish(hub, 11, [event(A, 11)])
    assert [scope.stack for scope in hub.kept("past")] == ["s2", "s3", "s4", "s5"]
    for revision in range(12, 22):
        publish(hub, revision, [event(A, revision)])
    assert hub.kept("past") == {}
    assert revisions(everything(hub, A, 11)) == list(range(12, 22))


def test_the_oldest_losses_count_for_all_stacks_of_the_project_if_too_many_lost_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("factstore.watch.floors.STACKS", 2)
    hub = new_hub(HistoryLimits(1, 10**9, 900))
    for revision in range(1, 6):
        publish(hub, revision, [event(Scope("project", f"s{revision}"), revision)])
    # s1 to s4 have lost history; the losses of s1 and s2 are not recorded separately
    with pytest.raises(CursorExpired):
        everything(hub, A, 1)
    assert everything(hub, A, 2).upto == 5
    with pytest.raises(CursorExpired):
        everything(hub, Scope("project", "s4"), 3)
    assert everything(hub, Scope("other", "a"), 0).upto == 5
    monkeypatch.setattr("factstore.watch.floors.PROJECTS", 1)
    publish(hub, 6, [event(C, 6)])
    publish(hub, 7, [event(C, 7)])
    with pytest.raises(CursorExpired):  # too many projects lost history
        everything(hub, Scope("third", "a"), 0)
