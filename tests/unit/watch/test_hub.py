"""The hub compared with an unlimited list: a reader gets every later event, or an error."""

from __future__ import annotations

import gc
import itertools
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change, Event
from factstore.core.model.fact import Scope
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection, Watched
from factstore.core.ports import EventBatch, Kept, WakeUp
from factstore.watch import selections
from factstore.watch.channel import Channel
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.eventually import eventually
from tests.unit.core.factories import ManualClock, fact

A, B = (Scope("project", name) for name in ("a", "ab"))
C = Scope("other", "a")
SELECTIONS = [
    StackSelection(project_id, StackPatterns.of([pattern]))
    for project_id, pattern in (("project", "*"), ("project", "a?"), (None, "a"), (None, "*"))
]
WATCHED: list[Watched] = [A, B, C, *SELECTIONS]
SIZES = st.sampled_from([0, 100, 3_000, 30_000])


def cursor(revision: int, epoch: str = "e1") -> Cursor:
    return Cursor(epoch, revision)


def event(scope: Scope, revision: int, size: int = 0, changes: int = 1) -> Event:
    made = [
        Change("fact.put", f"p{n}", fact(f"p{n}", "x" * size, revision), None, "bob", "req-bob")
        for n in range(changes)
    ]
    return Event(scope, "s1", revision, tuple(made))


def publish(hub: Hub, revision: int, events: Sequence[Event]) -> None:
    hub.publish(revision, events, {each.scope: () for each in events})


def new_hub(
    limits: HistoryLimits,
    new_wake_up: Callable[[], WakeUp] | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Hub:
    hub = Hub(limits, new_wake_up, now)
    hub.reset(cursor(0))
    return hub


def everything(hub: Hub, of: Watched, after: int) -> EventBatch:
    return hub.read(of, cursor(after), events=10_000, size=10**9)


def revisions(found: EventBatch) -> list[int]:
    return [told.revision for told in found.events]


def includes(of: Watched, scope: Scope) -> bool:
    return of == scope if isinstance(of, Scope) else of.includes(scope)


class HubAgainstAList(RuleBasedStateMachine):
    """Readers of one stack or of many read batches of any size from any position."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(selections, "IDLE_SELECTIONS", 1)
        self.hub = Hub(HistoryLimits(6, 20_000, 900), may_wait=lambda: False)
        self.past: list[list[Event]] | None = None  # by revision, while it is still to be read
        self.past_since = 0
        self.epoch = ""
        self.revision = 0
        self.reset_at = 0
        self.published: list[Event] = []
        self.readers = {(of, -1): self.cursor(0) for of in WATCHED}
        self.names = itertools.count()

    def cursor(self, revision: int) -> Cursor:
        return Cursor(self.epoch, revision)

    @rule(
        scopes=st.lists(st.sampled_from([A, B, C]), max_size=3, unique=True),
        size=SIZES,
        skip=st.integers(1, 3),
    )
    def publish(self, scopes: list[Scope], size: int, skip: int) -> None:
        self.revision += skip
        made = [event(scope, self.revision, size) for scope in scopes]
        self.published += made
        publish(self.hub, self.revision, made)

    @rule(back=st.integers(0, 3), forth=st.integers(0, 3))
    def restart(self, back: int, forth: int) -> None:
        self.revision = max(self.reset_at, self.revision - back) + forth
        self.reset_at = self.revision
        self.published, self.past = [], None
        self.hub.reset(self.cursor(self.revision))

    @rule(back=st.integers(-3, 9))
    def restore_a_backup(self, back: int) -> None:
        self.epoch = f"e{next(self.names)}"
        self.revision = self.reset_at = max(0, self.revision - back)
        self.restart(0, 0)

    @rule(
        past=st.lists(
            st.tuples(st.lists(st.sampled_from([A, B, C]), max_size=3, unique=True), SIZES),
            max_size=5,
        )
    )
    def restart_with_a_recent_snapshot(self, past: list[tuple[list[Scope], int]]) -> None:
        self.past_since = self.revision
        self.past = []
        for scopes, size in past:
            self.revision += 1
            self.past.append([event(scope, self.revision, size) for scope in scopes])
        self.revision += 1
        self.reset_at = self.revision
        self.published = []
        self.hub.reset(self.cursor(self.revision), self.past_since)

    @precondition(lambda self: self.past is not None)
    @rule(lost=st.sampled_from([False, False, True]))
    def the_past_is_read(self, lost: bool) -> None:
        assert self.past is not None
        found = self.hub.new_past(self.past_since)
        for number, events in enumerate(self.past, self.past_since + 1):
            found.add(number, events)
        self.hub.put_past(None if lost else found, self.cursor(self.reset_at))
        if not lost:
            self.published = [each for events in self.past for each in events] + self.published
            self.reset_at = self.past_since
        self.past = None

    def teardown(self) -> None:
        self.patches.undo()

    @rule(of=st.sampled_from(WATCHED), back=st.integers(-3, 9))
    def arrive(self, of: Watched, back: int) -> None:
        self.readers[of, next(self.names)] = self.cursor(max(0, self.revision - back))

    @rule(events=st.integers(1, 4), size=st.sampled_from([1, 1500, 10**6]))
    def all_readers_read(self, events: int, size: int) -> None:
        for (of, name), position in list(self.readers.items()):
            if position.epoch != self.epoch:
                with pytest.raises(CursorExpired, match="replaced"):
                    self.hub.read(of, position, events=events, size=size)
                self.readers[of, name] = self.cursor(self.revision)
                continue
            at = position.revision
            due = [e for e in self.published if includes(of, e.scope) and e.revision > at]
            due.sort(key=lambda each: (each.revision, each.scope))
            awaits = self.past is not None and self.past_since <= at < self.reset_at
            try:
                found = self.hub.read(of, position, events=events, size=size)
            except Unavailable:
                assert awaits, "a reader waits for the past that does not read it"
                continue
            except CursorExpired:
                assert not awaits, "history was refused that is being read"
                assert self.has_dropped(of, at), "history was refused that had to be there"
                self.readers[of, name] = self.cursor(self.revision)
                continue
            assert not self.has_dropped(of, at), "a gap was not reported"
            assert list(found.events) == due[: len(found.events)], "not just what follows"
            first = [each for each in found.events if each.revision == found.events[0].revision]
            assert len(found.events) <= max(events, len(first))
            total = sum(told.size for told in found.events)
            assert total <= size or found.events == tuple(first), "more bytes than asked for"
            assert found.more == (len(found.events) < len(due))
            assert not due or found.events, "a reader does not move on"
            if found.more:
                assert found.upto == found.events[-1].revision
                assert due[len(found.events)].revision > found.upto, "a revision was cut"
            else:
                assert found.upto == max(at, self.revision)
            self.readers[of, name] = self.cursor(found.upto)

    def has_dropped(self, of: Watched, after: int) -> bool:
        if after < self.reset_at:
            return True
        for scope in (A, B, C):
            of_stack = [told for told in self.published if told.scope == scope]
            dropped = of_stack[: len(of_stack) - len(self.kept(scope))]
            if includes(of, scope) and any(told.revision > after for told in dropped):
                return True
        return False

    def kept(self, scope: Scope) -> list[Event]:
        """Return the events of a stack that have to be in memory, as many as the hub keeps."""
        kept = self.hub.kept().get(scope, Kept(0, 0))
        of_stack = [told for told in self.published if told.scope == scope]
        found = of_stack[len(of_stack) - kept.events :]
        assert kept.bytes == sum(told.size for told in found)
        return found

    @rule(of=st.sampled_from(WATCHED), back=st.integers(-3, 9))
    def nobody_waits_for_what_is_there_or_gone(self, of: Watched, back: int) -> None:
        at = self.cursor(max(0, self.revision - back))
        try:
            told = bool(self.hub.read(of, at, events=10_000, size=10**9).events)
        except (CursorExpired, Unavailable):
            told = True
        assert self.hub.wait(of, at, 0) == told
        assert self.hub.wait(of, at._replace(epoch="another"), 0), "its reader has to read again"

    @invariant()
    def memory_is_bounded(self) -> None:
        held, size = self.hub.depth
        assert held <= 6
        assert size <= 20_000
        kept = [told for scope in (A, B, C) for told in self.kept(scope)]
        assert (held, size) == (len(kept), sum(told.size for told in kept))

    @invariant()
    def the_position_is_that_of_the_last_publication(self) -> None:
        assert self.hub.cursor == self.cursor(self.revision)
        assert self.hub.has_published(self.hub.cursor)
        assert not self.hub.has_published(self.cursor(self.revision + 1))
        assert not self.hub.has_published(Cursor("another", 0))


TestHubAgainstAList = HubAgainstAList.TestCase
TestHubAgainstAList.settings = settings(
    max_examples=2 * settings().max_examples, stateful_step_count=25
)

REVISIONS = st.lists(
    st.tuples(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=3, unique=True), SIZES),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(past=REVISIONS, present=REVISIONS, selected=st.booleans())
def test_events_that_are_read_later_precede_the_present_ones_or_a_gap_is_reported(
    past: list[tuple[list[Scope], int]], present: list[tuple[list[Scope], int]], selected: bool
) -> None:
    tried = HubAgainstAList()
    try:
        tried.restart_with_a_recent_snapshot(past)
        if selected:
            tried.all_readers_read(4, 10**6)
        for scopes, size in present:
            tried.publish(scopes, size, 1)
        tried.the_past_is_read(False)
        for at in range(tried.revision + 1):
            tried.readers |= {(of, next(tried.names)): tried.cursor(at) for of in WATCHED}
        for events, size in ((2, 1500), (9, 10**9), (9, 10**9)):
            tried.all_readers_read(events, size)
        tried.memory_is_bounded()
    finally:
        tried.teardown()


def test_a_listener_is_called_once_for_each_revision_of_its_stacks() -> None:
    hub = new_hub(HistoryLimits(10, 10**6, 900))
    calls: Counter[Watched] = Counter()

    def listen(of: Watched) -> Callable[[], None]:
        return hub.listen(of, lambda: calls.update([of]))

    def fail() -> None:
        raise RuntimeError("a fault of one listener")

    leave = [hub.listen(A, fail), *(listen(of) for of in WATCHED)]
    publish(hub, 1, [event(A, 1), event(B, 1)])
    assert calls == Counter([A, B, *SELECTIONS])
    calls.clear()
    hub.reset(cursor(7))
    assert calls == Counter(WATCHED)
    calls.clear()
    publish(hub, 8, [event(C, 8)])
    assert calls == Counter([C, *SELECTIONS[2:]])
    calls.clear()
    hub.close()
    assert calls == Counter(WATCHED)
    for each in leave:
        each()
    publish(hub, 9, [event(C, 9)])
    assert calls == Counter(WATCHED)


@pytest.mark.parametrize("stacks", [10, 1000])
def test_a_reader_of_many_stacks_looks_only_at_those_with_news(
    stacks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = new_hub(HistoryLimits(10_000, 10**9, 900))
    scopes = [Scope("project", f"s{n}") for n in range(stacks)]
    for revision, scope in enumerate(scopes, 1):
        publish(hub, revision, [event(scope, revision)])
    position = everything(hub, SELECTIONS[0], 0).upto
    seen: Counter[str] = Counter()
    patterns, channels = StackPatterns.matches, Channel.after
    monkeypatch.setattr(
        StackPatterns, "matches", lambda *a: (seen.update(["matches"]), patterns(*a))[1]
    )
    monkeypatch.setattr(Channel, "after", lambda *a: (seen.update(["after"]), channels(*a))[1])
    for revision in range(stacks + 1, stacks + 6):
        publish(hub, revision, [event(scopes[revision % 7], revision)])
        assert revisions(everything(hub, SELECTIONS[0], position)) == [revision]
        position = revision
    assert seen == {"after": 5}


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


def test_a_reader_ahead_of_the_hub_sees_nothing_and_loses_nothing() -> None:
    hub = new_hub(HistoryLimits(10, 10**6, 900))
    publish(hub, 1, [event(A, 1)])
    assert everything(hub, A, 5) == EventBatch((), 5, more=False)
    publish(hub, 5, [event(A, 5)])
    assert everything(hub, A, 5) == EventBatch((), 5, more=False)
    publish(hub, 6, [event(A, 6)])
    assert revisions(everything(hub, A, 5)) == [6]


def test_readers_advance_with_changes_of_other_scopes() -> None:
    hub = new_hub(HistoryLimits(10, 10**6, 900))
    publish(hub, 4, [event(B, 4)])
    assert everything(hub, A, 1) == EventBatch((), 4, more=False)


def test_a_large_event_is_delivered_whole_whatever_the_limit() -> None:
    hub = new_hub(HistoryLimits(10, 10**6, 900))
    publish(hub, 1, [event(A, 1, 2_000, changes=20)])
    publish(hub, 2, [event(A, 2)])
    first = hub.read(A, cursor(0), events=10, size=1)
    assert [len(told.changes) for told in first.events] == [20]
    assert (first.upto, first.more) == (1, True)
    assert revisions(hub.read(A, cursor(first.upto), events=10, size=1)) == [2]


# Waiting; the wake-ups report to the test when a reader waits


class ReportingWakeUp(threading.Event):
    """A wake-up that reports when a reader waits for it."""

    parked: threading.Semaphore

    def wait(self, timeout: float | None = None) -> bool:
        self.parked.release()
        return super().wait(timeout)


@pytest.fixture
def parked() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def hub(parked: threading.Semaphore) -> Hub:
    def told() -> ReportingWakeUp:
        made = ReportingWakeUp()
        made.parked = parked
        return made

    return new_hub(HistoryLimits(3, 10**6, 900), told)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_only_the_readers_of_a_scope_are_woken(
    hub: Hub, parked: threading.Semaphore, threads: ThreadPoolExecutor
) -> None:
    mine = [threads.submit(hub.wait, A, cursor(0), 100) for _ in range(3)]
    other = threads.submit(hub.wait, B, cursor(0), 100)
    for _ in range(4):
        assert parked.acquire(timeout=60)
    publish(hub, 1, [event(A, 1)])
    assert [waiting.result(60) for waiting in mine] == [True] * 3
    assert not other.done()
    publish(hub, 2, [event(B, 2)])
    assert other.result(60)


def test_a_reader_can_be_woken_repeatedly(
    hub: Hub, parked: threading.Semaphore, threads: ThreadPoolExecutor
) -> None:
    for revision in range(1, 20):
        waiting = threads.submit(hub.wait, A, cursor(revision - 1), 100)
        assert parked.acquire(timeout=60)
        publish(hub, revision, [event(A, revision)])
        assert waiting.result(60)


@pytest.mark.parametrize("end", ["reset", "close"])
def test_all_readers_are_woken_when_history_is_reset_or_the_service_stops(
    hub: Hub, parked: threading.Semaphore, threads: ThreadPoolExecutor, end: str
) -> None:
    waiting = [threads.submit(hub.wait, scope, cursor(5), 100) for scope in (A, B)]
    for _ in waiting:
        assert parked.acquire(timeout=60)
    if end == "reset":
        hub.reset(cursor(3))
    else:
        hub.close()
    assert [reader.result(60) for reader in waiting] == [True, True]
    assert hub.closing == (end == "close")


def test_no_reader_starts_to_wait_when_the_service_stops(hub: Hub) -> None:
    hub.close()
    assert hub.wait(A, cursor(0), 30)


def test_a_reader_that_falls_behind_before_it_waits_is_not_left_waiting(hub: Hub) -> None:
    """All events of its stack were published and dropped between its read and its wait."""
    assert everything(hub, A, 0).events == ()
    publish(hub, 1, [event(A, 1)])
    for revision in range(2, 7):
        publish(hub, revision, [event(B, revision)])
    assert hub.wait(A, cursor(0), 0)


def test_a_wait_that_ends_without_an_event_returns_false(hub: Hub) -> None:
    assert not hub.wait(A, cursor(0), 0)
    publish(hub, 1, [event(B, 1)])
    assert not hub.wait(A, cursor(1), 0)


def test_readers_and_writers_on_many_threads_agree_on_the_order(
    threads: ThreadPoolExecutor,
) -> None:
    hub = new_hub(HistoryLimits(10_000, 10**9, 900))
    last = 2000

    def follow(scope: Scope) -> list[int]:
        seen: list[int] = []
        at = 0
        while at < last:
            found = hub.read(scope, cursor(at), events=7, size=3_000)
            seen += revisions(found)
            at = found.upto
            if not found.more and at < last:
                hub.wait(scope, cursor(at), 5)
        return seen

    readers = [(scope, threads.submit(follow, scope)) for scope in (A, B, C) for _ in range(2)]
    for revision in range(1, last + 1):
        scopes = [scope for n, scope in enumerate((A, B, C)) if revision % (n + 1) == 0]
        publish(hub, revision, [event(scope, revision) for scope in scopes])
    for scope, reader in readers:
        every = (A, B, C).index(scope) + 1
        assert reader.result(60) == list(range(every, last + 1, every))


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
