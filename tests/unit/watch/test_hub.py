"""The hub compared with an unlimited list: a reader gets every later event, or an error."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from factstore.core.errors import CursorExpired, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import Watched
from factstore.core.ports import EventBatch, Kept
from factstore.watch import selections
from factstore.watch.channel import Channel
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.unit.watch.hubs import (
    SELECTIONS,
    SIZES,
    WATCHED,
    A,
    B,
    C,
    cursor,
    event,
    everything,
    includes,
    new_hub,
    publish,
    revisions,
)


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
