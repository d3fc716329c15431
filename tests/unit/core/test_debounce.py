"""Settling: the time of delivery, and that no event is lost, on a clock of the test."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import (
    Change,
    DropStack,
    Event,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.fact import Scope
from factstore.core.operations.running_writes import RunningWrites
from factstore.core.ports import EventBatch
from factstore.core.services.compiled_context import Context
from factstore.core.services.context import ContextService
from factstore.core.services.context_view import ContextView
from factstore.core.services.debounce import AT_ONCE, Debounce, Debouncer
from factstore.core.services.watch import WatchService
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import ChangeFrame, PingFrame
from factstore.core.state.state import State
from tests.unit.core.factories import EPOCH, SCOPE, ManualClock, fact, stack
from tests.unit.core.records import member
from tests.unit.core.test_context import OneState

# Eighths of seconds are added without rounding.
moments = st.lists(st.integers(1, 400), max_size=30).map(
    lambda gaps: [moment / 8 for moment in accumulate(gaps)]
)
settles = st.tuples(st.integers(0, 50), st.integers(0, 300)).map(
    lambda pair: Debounce(pair[0] / 8, (pair[0] + pair[1]) / 8)
)


def event(revision: int, path: str = "p", kind: str = "fact.put", version: int = 1) -> Event:
    put = fact(path, revision, revision, version=version)
    change = Change(kind, path, put, None, "u", "r")  # type: ignore[arg-type]
    return Event(SCOPE, "s1", revision, (change,))


class Timetable:
    """An event source with events at given instants, and a clock that advances by waiting."""

    closing = False

    def __init__(self, moments: list[float], events: list[Event] | None = None) -> None:
        self.clock = ManualClock()
        self.begun = self.clock.now
        self.moments = [self.begun + moment for moment in moments]
        self.events = events or [event(n + 1) for n in range(len(moments))]
        self.state = State(len(self.events), EPOCH)
        self.state.load([PutStack(stack())])

    def read(self, scope: Scope, after: Cursor, *, events: int, size: int) -> EventBatch:
        there = self.events[: bisect_right(self.moments, self.clock.now)]
        new = [event for event in there if event.revision > after.revision]
        found, more = new[:events], len(new) > events
        last = found[-1].revision if more else max([after.revision, *(e.revision for e in there)])
        return EventBatch(tuple(found), last, more)

    def wait(self, scope: Scope, after: Cursor, timeout: float) -> bool:
        coming = [
            moment
            for moment, event in zip(self.moments, self.events, strict=True)
            if event.revision > after.revision and moment <= self.clock.now + timeout
        ]
        self.clock.now = max(self.clock.now, coming[0]) if coming else self.clock.now + timeout
        return bool(coming)

    @property
    def revision(self) -> int:
        return bisect_right(self.moments, self.clock.now)

    def has_published(self, at: Cursor) -> bool:
        return at.revision <= self.revision

    def quiet_since(self, scope: Scope, read_set: str = "", *, unless_of: str = "") -> float:
        happened = zip(self.moments, self.events[: self.revision], strict=False)
        counted = (at for at, event in happened if not (unless_of and event.is_of(unless_of)))
        return max(self.begun, *counted, self.begun)

    def grown_at(self, scope: Scope) -> float:
        happened = zip(self.moments, self.events[: self.revision], strict=False)
        return max((at for at, event in happened if event.grows), default=-math.inf)

    def floor(self, scope: Scope, epoch: str) -> int:
        return 0

    def pause(self, scope: Scope, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end and self._sleeps(scope, end):
            if self.events[self.revision - 1].ends_stack:
                return

    def _sleeps(self, scope: Scope, end: float) -> bool:
        return self.wait(scope, Cursor(EPOCH, self.revision), end - self.clock.now)

    def watching(self) -> WatchService:
        return WatchService(OneState(self.state), self, self.clock, 5)  # type: ignore[arg-type]


@given(moments, settles, st.integers(0, 50))
def test_a_settled_poll_returns_when_the_stack_is_quiet_or_at_its_bound(
    at: list[float], settle: Debounce, wait: int
) -> None:
    table = Timetable(at)
    watching = table.watching()
    cursor, delivered = Cursor(EPOCH, 0), []
    while len(delivered) < len(at):
        asked = table.clock.now
        poll = watching.poll(SCOPE, cursor, wait, Filter(), settle)
        now = table.clock.now
        cursor = poll.next
        delivered += [event.revision for event in poll.events]
        if not poll.events:
            assert now >= asked + wait
            table.wait(SCOPE, cursor, 1000)
            continue
        came = [max(asked, table.moments[event.revision - 1]) for event in poll.events]
        bound = min(came[0] + settle.limit, max(asked + wait, came[0] + settle.quiet))
        assert now <= bound + 1e-6
        assert now >= min(bound, came[-1] + settle.quiet) - 1e-6
        gaps = [later - earlier for earlier, later in pairwise(came)]
        assert all(gap <= settle.quiet + 1e-6 for gap in gaps)
    assert delivered == list(range(1, len(at) + 1))


@given(moments, settles)
def test_a_settled_stream_delivers_the_same_events_as_an_unsettled_one(
    at: list[float], settle: Debounce
) -> None:
    table = Timetable(at)
    frames = table.watching().stream(SCOPE, Cursor(EPOCH, 0), False, Filter(), True, settle)
    delivered: list[int] = []
    pinged = table.clock.now
    while len(delivered) < len(at):
        frame = next(frames)
        assert table.clock.now - pinged <= 30.0 + 1e-6
        pinged = table.clock.now
        if isinstance(frame, ChangeFrame):
            assert table.clock.now >= table.moments[frame.events[0].revision - 1]
            delivered.append(frame.events[0].revision)
    assert delivered == list(range(1, len(at) + 1))


def test_a_late_worker_requires_quiet_for_as_long_and_does_not_count_the_time() -> None:
    for stretches in (True, False):
        debouncer = Debouncer(Debounce(1.0, 10.0, stretches))
        debouncer.touch(100.0)
        debouncer.delay(0.0)
        assert debouncer.deadline == 101.0
        debouncer.delay(4.0)  # it is 105
        debouncer.quiet_since(104.5)
        assert debouncer.deadline == 108.5
        debouncer.quiet_since(109.0)
        assert debouncer.deadline == (113.0 if stretches else 110.0)
        debouncer.delay(0.0)
        assert debouncer.deadline == 110.0


def test_nothing_is_held_back_longer_because_a_worker_was_late_if_nothing_has_changed() -> None:
    debouncer = Debouncer(Debounce(1.0, 10.0, stretches=True))
    debouncer.touch(100.0)
    debouncer.delay(3.0)  # it is 104
    assert debouncer.deadline is not None
    assert debouncer.deadline <= 104.0


def test_a_storm_is_delivered_in_few_bursts() -> None:
    table = Timetable([n / 8 for n in range(1, 101)])
    settle = Debounce(0.5, 5.0)
    frames = table.watching().stream(SCOPE, Cursor(EPOCH, 0), False, Filter(), True, settle)
    bursts: dict[float, list[int]] = {}
    while sum(map(len, bursts.values())) < 100:
        frame = next(frames)
        if isinstance(frame, ChangeFrame):
            bursts.setdefault(table.clock.now, []).append(frame.events[0].revision)
    assert len(bursts) <= 3
    assert [n for burst in bursts.values() for n in burst] == list(range(1, 101))


def test_unwanted_changes_do_not_restart_the_quiet_time() -> None:
    events = [event(1, "wanted"), *(event(n, "noise") for n in range(2, 50))]
    table = Timetable([1 + n / 8 for n in range(49)], events)
    watching = table.watching()
    poll = watching.poll(SCOPE, Cursor(EPOCH, 0), 30, Filter(("wanted",)), Debounce(1.0, 10.0))
    assert [found.revision for found in poll.events] == [1]
    assert table.clock.now == pytest.approx(table.begun + 2.0)


def test_the_deletion_of_the_stack_is_delivered_at_once() -> None:
    events = [
        event(1),
        Event(SCOPE, "s1", 2, (Change("stack.delete", None, None, None, "u", "r"),)),
    ]
    table = Timetable([1.0, 1.5], events)
    frames = table.watching().stream(
        SCOPE, Cursor(EPOCH, 0), False, Filter(), True, Debounce(5.0, 50.0)
    )
    delivered = [frame for frame in frames if not isinstance(frame, PingFrame)]
    assert len(delivered) == 3
    assert table.clock.now == pytest.approx(table.begun + 1.5)


def test_a_stopping_service_ends_the_quiet() -> None:
    table = Timetable([1.0])
    watching = table.watching()

    def close(scope: Scope, after: Cursor, timeout: float) -> bool:
        found = Timetable.wait(table, scope, after, timeout)
        table.closing = found
        return True

    table.wait = close  # type: ignore[method-assign]
    poll = watching.poll(SCOPE, Cursor(EPOCH, 0), 30, Filter(), Debounce(5.0, 50.0))
    assert table.clock.now == pytest.approx(table.begun + 1.0)
    assert [found.revision for found in poll.events] == [1]


def test_a_changed_context_is_compiled_once_when_the_stack_is_quiet() -> None:
    table = Timetable([n / 10 for n in range(10)])
    state = State(0, EPOCH)
    state.load([PutStack(stack())])
    service = ContextService(OneState(state), table, table.clock, 5)  # type: ignore[arg-type]
    known = service.get(SCOPE)
    assert table.clock.now == table.begun
    plain = table.wait

    def moving(scope: Scope, after: Cursor, timeout: float) -> bool:
        found = plain(scope, after, timeout)
        for n in range(state.revision, bisect_right(table.moments, table.clock.now)):
            state.apply(Step(n + 1, (PutFact("s1", fact(f"p{n}", n, n + 1)),)))
        return found

    table.wait = moving  # type: ignore[method-assign]
    settled = service.get(SCOPE, wait=30, unless={known.etag}, settle=Debounce(0.5, 5.0))
    assert settled.cursor.revision == 10
    assert table.clock.now == pytest.approx(table.begun + 0.9 + 0.5)


@pytest.mark.parametrize("path", ["p", "results/p"])
def test_a_settled_reader_is_notified_of_an_undone_change_that_has_to_be_applied(
    path: str,
) -> None:
    table = Timetable([1.0, 1.25])
    state = State(0, EPOCH)
    state.load([PutStack(stack()), PutFact("s1", fact(path, "as it was"))])
    service = ContextService(OneState(state), table, table.clock, 5)  # type: ignore[arg-type]
    known = service.get(SCOPE)
    plain = table.wait

    def moving(scope: Scope, after: Cursor, timeout: float) -> bool:
        found = plain(scope, after, timeout)
        for n in range(state.revision, bisect_right(table.moments, table.clock.now)):
            value = "another" if n == 0 else "as it was"
            state.apply(Step(n + 1, (PutFact("s1", fact(path, value, n + 1)),)))
        return found

    table.wait = moving  # type: ignore[method-assign]
    undone = service.get(SCOPE, wait=30, unless={known.etag}, settle=Debounce(0.5, 5.0))
    assert undone.etag == known.etag
    assert undone.cursor.revision == 2
    waited = 1.25 + 0.5 if path == "p" else 30
    assert table.clock.now == pytest.approx(table.begun + waited)


def test_a_result_without_changes_is_not_delayed() -> None:
    assert Debouncer(Debounce(1.0, 10.0)).deadline is None
    settling = Debouncer(AT_ONCE)
    settling.touch(5.0)
    assert settling.deadline == 5.0


def context_service(
    table: Timetable, state: State, running: RunningWrites | None = None
) -> ContextService:
    """Return the service on a state that follows the timetable; the last event is a deletion."""
    plain = table.wait

    def moving(scope: Scope, after: Cursor, timeout: float) -> bool:
        found = plain(scope, after, timeout)
        for n in range(state.revision, bisect_right(table.moments, table.clock.now)):
            change = table.events[n].changes[0]
            if change.type == "stack.delete":
                state.apply(Step(n + 1, (DropStack(SCOPE),)))
            elif state.stack(SCOPE) is None:
                state.apply(Step(n + 1, (PutStack(stack(created=n + 1)),)))
            else:
                state.apply(Step(n + 1, (PutFact("s1", fact(f"p{n}", n, n + 1)),)))
        return found

    table.wait = moving  # type: ignore[method-assign]
    return ContextService(OneState(state), table, table.clock, 5, running)  # type: ignore[arg-type]


def test_a_deleted_stack_is_reported_at_once() -> None:
    gone = Event(SCOPE, "s1", 2, (Change("stack.delete", None, None, None, "u", "r"),))
    table = Timetable([1.0, 1.25], [event(1), gone])
    state = State(0, EPOCH)
    state.load([PutStack(stack())])
    service = context_service(table, state)
    known = service.get(SCOPE)
    with pytest.raises(NotFound):
        service.get(SCOPE, wait=30, unless={known.etag}, settle=Debounce(1.0, 10.0))
    assert table.clock.now == pytest.approx(table.begun + 1.25)


def test_a_new_stack_settles_for_a_waiting_reader() -> None:
    table = Timetable([1.0, 1.5, 2.0])
    context = context_service(table, State(0, EPOCH)).get(
        SCOPE, wait=30, settle=Debounce(1.0, 10.0)
    )
    assert context.cursor.revision == 3
    assert table.clock.now == pytest.approx(table.begun + 3.0)


@pytest.mark.parametrize(("path", "seconds"), [("nodes/c1/ip", 0.0), ("nodes/c2/ip", 4.75)])
def test_a_first_context_settles_after_what_others_have_published(
    path: str, seconds: float
) -> None:
    table = Timetable([1.0, 12.0], [event(1, "nodes/c2/ip"), event(2, path)])
    state = State(0, EPOCH)
    state.load([PutStack(stack()), PutRecord("s1", member("c1", 1))])
    service = context_service(table, state)
    table.wait(SCOPE, Cursor(EPOCH, 1), 20.0)
    table.wait(SCOPE, Cursor(EPOCH, 2), 0.25)
    assert state.revision == 2
    asked = table.clock.now
    nothing = Cursor("0" * 16, 0)
    settle = Debounce(5.0, 50.0)
    context = service.since(SCOPE, nothing, ContextView(member="c1"), wait=50, settle=settle)
    assert isinstance(context, Context)
    assert table.clock.now == pytest.approx(asked + seconds)


def first_context(
    table: Timetable, settle: Debounce, running: RunningWrites | None = None
) -> tuple[Context, float]:
    """Return the first context of member c1, and for how long it was held back."""
    state = State(0, EPOCH)
    state.load([PutStack(stack()), PutRecord("s1", member("c1", 1))])
    service = context_service(table, state, running)
    asked, nothing = table.clock.now, Cursor("0" * 16, 0)
    found = service.since(SCOPE, nothing, ContextView(member="c1"), wait=50, settle=settle)
    assert isinstance(found, Context)
    return found, table.clock.now - asked


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("path", ["nodes/c2/ip", "results/c2/ip"])
def test_a_first_context_is_held_back_beyond_its_limit_only_while_the_stack_grows(
    path: str, version: int
) -> None:
    moments = [n / 8 for n in range(80)]
    events = [event(n + 1, path, version=version) for n in range(80)]
    grows = version == 1 and not path.startswith("results/")
    context, held = first_context(Timetable(moments, events), Debounce.of(500))
    assert (context.cursor.revision, held) == ((80, 9.875 + 0.5) if grows else (41, 5.0))
    context, held = first_context(Timetable(moments, events), Debounce.of(500, 5000))
    assert (context.cursor.revision, held) == (41, 5.0)
    longer = [event(n + 1, path, version=version) for n in range(480)]
    context, held = first_context(Timetable([n / 8 for n in range(480)], longer), Debounce.of(500))
    assert held == (50.0 if grows else 5.0)


def test_a_stack_is_not_quiet_while_a_write_has_been_running_for_longer() -> None:
    table = Timetable([0.125])
    running = RunningWrites(table.clock)
    running.begin(SCOPE, "a join that the store does not answer")
    running.begin(Scope(SCOPE.project_id, "another"), "of another stack")
    plain = table.pause

    def ending(scope: Scope, seconds: float) -> None:
        plain(scope, seconds)
        if table.clock.now >= table.begun + 2.0:
            running.end(SCOPE, "a join that the store does not answer")

    table.pause = ending  # type: ignore[method-assign]
    _, held = first_context(table, Debounce.of(500), running)
    assert 2.0 <= held <= 2.0 + 0.5
    _, held = first_context(Timetable([0.125]), Debounce.of(500), running)
    assert held == 0.125 + 0.5
