"""Settled watches, on a clock that advances only by waiting."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.services.debounce import AT_ONCE, PAGE_EVENTS, Debounce
from factstore.core.services.watch import Poll
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import (
    BookmarkFrame,
    ChangeFrame,
    Frame,
    GoodbyeFrame,
    PingFrame,
)
from tests.unit.core.factories import EPOCH, SCOPE
from tests.unit.core.timeline import Timeline

ALL = Filter()
START = Cursor(EPOCH, 1)
SETTLE = Debounce(1.0, 10.0)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


def poll(
    timeline: Timeline,
    wait: float = 30,
    settle: Debounce = SETTLE,
    wanted: Filter = ALL,
    since: Cursor | None = START,
) -> Poll:
    return timeline.watching.poll(SCOPE, since, wait, wanted, settle)


def revisions(answer: Poll) -> list[int]:
    return [event.revision for event in answer.events]


# Long polls


def test_a_poll_waits_for_quiet_after_a_burst(timeline: Timeline) -> None:
    timeline.puts(3, 3.5, 4.25, 6)
    answer = poll(timeline)
    assert revisions(answer) == [2, 3, 4]
    assert timeline.passed == 5.25
    assert answer.next == Cursor(EPOCH, 4)


def test_an_unsettled_poll_returns_the_first_event(timeline: Timeline) -> None:
    timeline.puts(3, 3.5)
    assert revisions(poll(timeline, settle=AT_ONCE)) == [2]
    assert timeline.passed == 3


def test_an_endless_storm_is_delivered_at_the_bound(timeline: Timeline) -> None:
    timeline.puts(*(n / 2 for n in range(4, 60)))
    assert len(revisions(poll(timeline))) == 21  # from 2 to 12 seconds
    assert timeline.passed == 12


def test_a_settled_poll_takes_no_longer_than_its_wait(timeline: Timeline) -> None:
    timeline.puts(*(n / 2 for n in range(4, 60)))
    poll(timeline, wait=5)
    assert timeline.passed == 5


def test_a_change_shortly_before_the_end_may_settle_once(timeline: Timeline) -> None:
    timeline.puts(4.5, 5.25, 5.75)
    assert revisions(poll(timeline, wait=5)) == [2, 3]
    assert timeline.passed == 5.5


def test_a_backlog_settles_even_without_wait(timeline: Timeline) -> None:
    timeline.put()
    timeline.puts(0.5, 0.75, 1.25)
    assert revisions(poll(timeline, wait=0)) == [2, 3, 4]
    assert timeline.passed == 1
    assert revisions(poll(timeline, wait=0, since=Cursor(EPOCH, 4))) == []
    assert timeline.passed == 1


def test_unwanted_changes_do_not_delay_delivery(timeline: Timeline) -> None:
    timeline.puts(2, 2.5, path="n/1")
    timeline.puts(2.25, 3, 3.25, path="other")
    answer = poll(timeline, wanted=Filter(("n",)))
    assert revisions(answer) == [2, 4]
    assert timeline.passed == 3.5
    assert answer.next == Cursor(EPOCH, 6)


def test_unwanted_changes_do_not_start_the_settle_time(timeline: Timeline) -> None:
    timeline.puts(2, path="other")
    assert revisions(poll(timeline, wanted=Filter(("n",)), wait=5)) == []
    assert timeline.passed == 5


def test_a_full_page_is_delivered_at_once(timeline: Timeline) -> None:
    for _ in range(2 * PAGE_EVENTS):
        timeline.put()
    answer = poll(timeline)
    assert answer.more
    assert timeline.passed == 0
    again = poll(timeline, since=answer.next)
    assert revisions(answer) + revisions(again) == list(range(2, again.next.revision + 1))


def test_a_page_is_filled_with_wanted_events_before_delivery(timeline: Timeline) -> None:
    for n in range(PAGE_EVENTS):
        timeline.put("n/1" if n % 100 == 0 else "other")
    answer = poll(timeline, wanted=Filter(("n",)))
    assert len(answer.events) == 10
    assert not answer.more
    assert timeline.passed == 1


def test_the_deletion_of_a_stack_is_delivered_at_once_with_earlier_events(
    timeline: Timeline,
) -> None:
    timeline.puts(2)
    timeline.at(2.5, timeline.delete_stack)
    answer = poll(timeline, wanted=Filter(("a",), frozenset({"fact.put"})))
    assert [event.changes[0].type for event in answer.events] == ["fact.put", "stack.delete"]
    assert timeline.passed == 2.5


def test_a_stopping_service_delivers_pending_events_at_once(timeline: Timeline) -> None:
    timeline.puts(2)
    timeline.at(2.5, timeline.hub.close)
    assert revisions(poll(timeline)) == [2]
    assert timeline.passed == 2.5


def test_a_settled_poll_loses_no_event_when_history_is_dropped() -> None:
    timeline = Timeline(history=3)
    timeline.puts(*(n / 4 for n in range(8, 24)))
    answer = poll(timeline)
    assert revisions(answer) == list(range(2, 18))


def test_pending_events_are_delivered_before_the_gap_is_reported() -> None:
    timeline = Timeline(history=3)
    timeline.puts(2)

    def storm() -> None:
        for _ in range(5):
            timeline.put()

    timeline.at(2.5, storm)
    answer = poll(timeline)
    assert revisions(answer) == [2]
    assert answer.next == Cursor(EPOCH, 2)
    with pytest.raises(CursorExpired):
        poll(timeline, since=answer.next)


# Streams


@dataclass(frozen=True)
class Delivered:
    """A frame and its time of delivery."""

    at: float
    frame: Frame


def stream(
    timeline: Timeline,
    settle: Debounce = SETTLE,
    wanted: Filter = ALL,
    since: Cursor | None = START,
) -> Iterator[Delivered]:
    for frame in timeline.watching.stream(SCOPE, since, False, wanted, True, settle):
        yield Delivered(timeline.passed, frame)


def changes(delivered: list[Delivered]) -> list[tuple[float, int]]:
    """Return the times and revisions of the delivered events."""
    return [(each.at, each.frame.events[0].revision) for each in delivered if _is_change(each)]  # type: ignore[union-attr]


def _is_change(delivered: Delivered) -> bool:
    return isinstance(delivered.frame, ChangeFrame)


def test_a_settled_stream_delivers_a_burst_at_once_event_by_event(timeline: Timeline) -> None:
    timeline.puts(3, 3.5, 4.25, 8)
    timeline.at(20, timeline.hub.close)
    delivered = list(stream(timeline))
    assert changes(delivered) == [(5.25, 2), (5.25, 3), (5.25, 4), (9, 5)]
    assert isinstance(delivered[-1].frame, GoodbyeFrame)


def test_an_unsettled_stream_delivers_each_event_immediately(timeline: Timeline) -> None:
    timeline.puts(3, 3.5)
    timeline.at(20, timeline.hub.close)
    assert changes(list(stream(timeline, AT_ONCE))) == [(3, 2), (3.5, 3)]


def test_a_stream_in_a_storm_delivers_at_each_bound(timeline: Timeline) -> None:
    timeline.puts(*(n / 2 for n in range(2, 60)))
    timeline.at(40, timeline.hub.close)
    delivered = changes(list(stream(timeline)))
    assert {at for at, _ in delivered} == {11, 21.5, 30.5}
    assert [revision for _, revision in delivered] == list(range(2, 60))


def test_a_backlog_settles_in_a_stream(timeline: Timeline) -> None:
    timeline.put()
    timeline.puts(0.5)
    timeline.at(20, timeline.hub.close)
    assert changes(list(stream(timeline))) == [(1.5, 2), (1.5, 3)]


def test_pings_are_in_time_and_bookmarks_wait_for_pending_events(timeline: Timeline) -> None:
    timeline.puts(*range(1, 59, 2))
    timeline.at(70, timeline.hub.close)
    delivered = list(stream(timeline, Debounce(5, 60)))
    assert all(later.at - earlier.at <= 15 for earlier, later in itertools.pairwise(delivered))
    pings = [each.at for each in delivered if isinstance(each.frame, PingFrame)]
    assert pings == [15, 30, 45, 60]
    assert [type(each.frame) for each in delivered if each.at < 60] == [PingFrame] * 3
    assert {at for at, _ in changes(delivered)} == {61}


def test_a_bookmark_follows_the_pending_events(timeline: Timeline) -> None:
    timeline.puts(1)
    for second in range(2, 40):
        timeline.at(second, timeline.pass_by)
    timeline.at(39.5, timeline.hub.close)
    marks = [
        each.frame.cursor.revision if _is_change(each) else -each.frame.cursor.revision  # type: ignore[union-attr]
        for each in stream(timeline, Debounce(5, 60))
        if isinstance(each.frame, ChangeFrame | BookmarkFrame)
    ]
    assert marks[0] == 2
    assert len(marks) > 1
    assert all(mark < -2 for mark in marks[1:])


def test_a_full_page_of_a_stream_is_delivered_at_once(timeline: Timeline) -> None:
    def storm() -> None:
        for _ in range(2 * PAGE_EVENTS):
            timeline.put()

    timeline.at(2, storm)
    timeline.at(20, timeline.hub.close)
    delivered = changes(list(stream(timeline)))
    assert [revision for _, revision in delivered] == list(range(2, 2 + 2 * PAGE_EVENTS))
    assert delivered[0][0] == 2
    assert delivered[-1][0] == 3


def test_the_deletion_of_the_stack_ends_a_stream_at_once(timeline: Timeline) -> None:
    timeline.puts(2)
    timeline.at(2.5, timeline.delete_stack)
    delivered = list(stream(timeline))
    assert changes(delivered) == [(2.5, 2), (2.5, 3)]
    assert isinstance(delivered[-1].frame, GoodbyeFrame)


def test_a_stopping_service_ends_a_stream_at_once_and_it_can_be_resumed(
    timeline: Timeline,
) -> None:
    timeline.puts(2, 2.25, 5, 5.25)
    timeline.at(5.5, timeline.hub.close)
    delivered = list(stream(timeline))
    assert changes(delivered) == [(3.25, 2), (3.25, 3)]
    assert delivered[-1].at == 5.5
    last = max(each.frame.cursor.revision for each in delivered if hasattr(each.frame, "cursor"))
    assert last == 3, "the cursor ran ahead of what was limit back"
    timeline.hub._closing = False  # type: ignore[attr-defined]
    rest = poll(timeline, since=Cursor(EPOCH, last), settle=AT_ONCE)
    assert revisions(rest) == [4, 5]


def test_a_settled_stream_loses_no_event_when_history_is_dropped() -> None:
    timeline = Timeline(history=3)
    timeline.puts(*(n / 4 for n in range(8, 24)))
    timeline.at(20, timeline.hub.close)
    assert [revision for _, revision in changes(list(stream(timeline)))] == list(range(2, 18))


def test_a_stream_delivers_pending_events_before_it_ends_for_dropped_history() -> None:
    timeline = Timeline(history=3)
    timeline.puts(2)

    def storm() -> None:
        for _ in range(5):
            timeline.put()

    timeline.at(2.5, storm)
    delivered = list(stream(timeline))
    assert changes(delivered) == [(2.5, 2)]
    assert isinstance(delivered[-1].frame, GoodbyeFrame)


# Random histories


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[float, str]]:
    """Draw instants and the facts that change then; ``-`` is a write to another stack."""
    happening = st.tuples(st.integers(0, 3000), st.sampled_from(["a", "n/1", "-"]))
    found = draw(st.lists(happening, max_size=40))
    instants = itertools.accumulate(gap for gap, _ in found)
    return [(instant / 1024, path) for instant, (_, path) in zip(instants, found, strict=True)]


settles = st.integers(0, 4000).flatmap(
    lambda quiet: st.integers(quiet, 20_000).map(lambda limit: Debounce(quiet / 1024, limit / 1024))
)
filters = st.sampled_from([ALL, Filter(("n",)), Filter((), frozenset({"fact.delete"}))])


def lived(history: list[tuple[float, str]], limit: int = 10_000) -> Timeline:
    timeline = Timeline(limit)
    for instant, path in history:
        if path == "-":
            timeline.at(instant, timeline.pass_by)
        else:
            timeline.puts(instant, path=path)
    return timeline


@given(histories(), settles, filters, st.sampled_from([0, 1, 7, 50]))
def test_settled_polls_deliver_the_same_events_as_unsettled_polls(
    history: list[tuple[float, str]], settle: Debounce, wanted: Filter, wait: float
) -> None:
    delivered = []
    for each in (AT_ONCE, settle):
        timeline, since, found = lived(history), START, []
        while since.revision < 1 + len(history):
            began = timeline.clock.now
            answer = poll(timeline, wait, each, wanted, since)
            took = timeline.clock.now - began
            assert took <= max(wait, wait + each.quiet) + 1e-5
            assert all(event.revision <= answer.next.revision for event in answer.events)
            found += revisions(answer)
            since = answer.next
            if not wait:  # somebody else's time
                timeline.sleep(0.5, lambda: False)
        delivered.append(found)
    assert delivered[0] == delivered[1]


@given(histories(), settles, filters)
def test_a_settled_stream_delivers_the_same_events_as_an_unsettled_one_in_time(
    history: list[tuple[float, str]], settle: Debounce, wanted: Filter
) -> None:
    found = []
    for each in (AT_ONCE, settle):
        timeline = lived(history)
        timeline.at(300, timeline.hub.close)
        delivered = list(stream(timeline, each, wanted))
        found.append(changes(delivered))
        cursors = [t.frame.cursor.revision for t in delivered if hasattr(t.frame, "cursor")]
        assert cursors == sorted(set(cursors)), "the cursor went back, or ran ahead"
        assert all(later.at - t.at <= 15 + 1e-5 for t, later in itertools.pairwise(delivered))
    happened, settled = found
    assert [revision for _, revision in settled] == [revision for _, revision in happened]
    for (at, _), (then, _) in zip(settled, happened, strict=True):
        assert then <= at <= then + max(settle.limit, settle.quiet) + 1e-5
