"""Random histories of several stacks: every reader's copy is the state at the reader's cursor."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import DropFact, DropStack, Event, Mutation, PutFact, PutStack, Step
from factstore.core.model.fact import Scope
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection
from factstore.core.services import debounce, follower
from factstore.core.services.debounce import AT_ONCE
from factstore.core.services.watch import WatchService
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import BookmarkFrame, ChangeFrame, SnapshotFrame
from factstore.core.state.state import State
from factstore.watch.history import HistoryLimits
from factstore.watch.hub import Hub
from tests.unit.core.factories import EPOCH, ManualClock, fact, stack
from tests.unit.core.test_context import OneState

SCOPES = [Scope("p", "web-1"), Scope("p", "web-2"), Scope("p", "db"), Scope("q", "web-1")]
SELECTIONS = [
    StackSelection(project_id, StackPatterns.of(patterns))
    for project_id, patterns in (
        ("p", ["*"]),
        ("p", ["web-?"]),
        ("p", ["db", "none"]),
        ("q", ["*"]),
        (None, ["web-1"]),
        (None, ["*"]),
    )
]
ALL = Filter(many=True)

Contents = dict[Scope, dict[str, str]]
"""The texts of the facts of each stack, by path."""


class Copy:
    """The stacks that a reader watches, as it knows them, and its cursor."""

    def __init__(self, watched: StackSelection) -> None:
        self.watched = watched
        self.revision = 0
        self.contents: Contents = {}

    def begin(self, frames: Iterable[object]) -> None:
        """Take a snapshot."""
        self.contents = {}
        for frame in frames:
            if isinstance(frame, BookmarkFrame):
                self.revision = frame.cursor.revision
                return
            assert isinstance(frame, SnapshotFrame), frame
            facts = {each.path: each.text for each in frame.facts}
            self.contents.setdefault(frame.scope, {}).update(facts)

    def take(self, event: Event) -> None:
        """Apply an event."""
        assert self.watched.includes(event.scope)
        for change in event.changes:
            if change.type == "stack.delete":
                self.contents.pop(event.scope, None)
            elif change.fact is not None:
                self.contents.setdefault(event.scope, {})[change.fact.path] = change.fact.text
            else:
                self.contents[event.scope].pop(change.path)  # type: ignore[arg-type]
        self.revision = event.revision


class ManyStacks(RuleBasedStateMachine):
    """Steps that change several stacks; readers by polls and by streams, with small pages."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(debounce, "PAGE_EVENTS", 4)
        self.patches.setattr(debounce, "PAGE_BYTES", 9_000)
        self.patches.setattr(follower, "STREAM_EVENTS", 2)
        self.state = State(1, EPOCH)
        self.clock = ManualClock()
        self.hub = Hub(HistoryLimits(12, 60_000, 900), now=self.clock.monotonic)
        self.hub.reset(self.state.cursor)
        self.watch = WatchService(OneState(self.state), self.hub, self.clock, 5)  # type: ignore[arg-type]
        self.names = itertools.count(1)
        self.ids: dict[Scope, str] = {}
        self.past: dict[int, Contents] = {1: {}}
        self.readers = [Copy(watched) for watched in SELECTIONS * 2]
        for reader in self.readers:
            self.begin(reader)

    def teardown(self) -> None:
        self.patches.undo()

    @rule(
        changes=st.lists(
            st.tuples(
                st.sampled_from(SCOPES),
                st.sampled_from(["put", "put", "put", "put large", "drop", "delete stack"]),
            ),
            min_size=1,
            max_size=5,
        ),
        path=st.sampled_from(["a", "b"]),
    )
    def step(self, changes: list[tuple[Scope, str]], path: str) -> None:
        """Make one revision that changes each stack at most once."""
        revision = self.state.revision + 1
        now = {scope: dict(facts) for scope, facts in self.past[revision - 1].items()}
        mutations: list[Mutation] = []
        for scope, change in dict(changes).items():
            if change == "delete stack" and scope in self.ids:
                del self.ids[scope], now[scope]
                mutations.append(DropStack(scope))
            elif change == "drop" and path in now.get(scope, {}):
                del now[scope][path]
                mutations.append(DropFact(self.ids[scope], path))
            elif change.startswith("put"):
                if scope not in self.ids:
                    self.ids[scope] = f"s{next(self.names)}"
                    mutations.append(PutStack(stack(scope, self.ids[scope], revision)))
                value = str(revision) + ("x" * 2_000 if change == "put large" else "")
                written = fact(path, value, revision)
                now.setdefault(scope, {})[path] = written.text
                mutations.append(PutFact(self.ids[scope], written))
        self.past[revision] = now
        result = self.state.apply(Step(revision, tuple(mutations)))
        self.hub.publish(revision, result.events, result.touched)

    def check(self, reader: Copy) -> None:
        expected = {
            scope: facts
            for scope, facts in self.past[reader.revision].items()
            if reader.watched.includes(scope)
        }
        assert reader.contents == expected, f"at {reader.revision}"

    def begin(self, reader: Copy) -> None:
        reader.begin(self.watch.stream(reader.watched, None, True, ALL, True))
        self.check(reader)

    @rule(which=st.integers(0, len(SELECTIONS) - 1))
    def poll(self, which: int) -> None:
        reader = self.readers[which]
        more = True
        while more:
            cursor = Cursor(EPOCH, reader.revision)
            try:
                poll = self.watch.poll(reader.watched, cursor, 0, ALL)
            except CursorExpired:
                self.begin(reader)
                return
            assert [each.revision for each in poll.events] == sorted(
                each.revision for each in poll.events
            )
            for event in poll.events:
                assert event.revision > cursor.revision
                reader.take(event)
            reader.revision, more = poll.next.revision, poll.more
            self.check(reader)
        assert reader.revision == self.state.revision

    @rule(which=st.integers(len(SELECTIONS), 2 * len(SELECTIONS) - 1))
    def stream(self, which: int) -> None:
        reader = self.readers[which]
        follower = self.watch.follower(reader.watched, Cursor(EPOCH, reader.revision), ALL, AT_ONCE)
        for frame in follower.frames():
            if isinstance(frame, ChangeFrame):
                assert frame.cursor.revision > reader.revision, "a revision was delivered twice"
                assert len({event.scope for event in frame.events}) == len(frame.events)
                for event in frame.events:
                    assert event.revision == frame.cursor.revision
                    reader.take(event)
                self.check(reader)
        if follower.expired:
            self.begin(reader)
        else:
            reader.revision = follower.cursor.revision
            self.check(reader)
            assert reader.revision == self.state.revision


TestManyStacks = ManyStacks.TestCase
TestManyStacks.settings = settings(max_examples=100, stateful_step_count=30)


def test_a_selection_is_not_ended_by_a_deletion_which_types_may_leave_out() -> None:
    machine = ManyStacks()
    start = Cursor(EPOCH, machine.state.revision)
    scope = SCOPES[0]
    for change in ("put", "delete stack", "put"):
        machine.step([(scope, change)], "a")
    poll = machine.watch.poll(SELECTIONS[0], start, 0, ALL)
    assert [each.changes[0].type for each in poll.events] == [
        *("fact.put", "stack.delete", "fact.put")
    ]
    some = replace(ALL, types=frozenset({"fact.put"}))
    poll = machine.watch.poll(SELECTIONS[0], start, 0, some)
    assert [each.changes[0].type for each in poll.events] == ["fact.put", "fact.put"]
    machine.teardown()
