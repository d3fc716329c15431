"""The state compared with a dict, and the events of each step."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from factstore.core.model.event import (
    Change,
    DeletionAuthor,
    DropFact,
    DropStack,
    Event,
    Mutation,
    PutFact,
    PutStack,
    Step,
)
from factstore.core.model.fact import Fact, Scope
from factstore.core.model.path import covers
from factstore.core.state.state import State
from tests.unit.core.factories import SCOPE, fact, stack, state_with

SCOPES = [Scope("p1", "a"), Scope("p1", "ab"), Scope("p2", "a")]
PATHS = ["x", "n/1", "n/10", "n/1-a", "n.a", "n-b", "n0", "results/r"]
PREFIXES = ["", "n", "n/1", "x", "results", "nothing"]


def events_of(state: State, step: Step) -> tuple[Event, ...]:
    return state.apply(step).events


class StateAgainstADict(RuleBasedStateMachine):
    """After any steps, the state equals a naive dict."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.revision = 0
        self.ids: dict[Scope, str] = {}
        self.facts: dict[Scope, dict[str, Fact]] = {}
        self.made = 0

    def step(self, *mutations: Mutation) -> list[tuple[Scope, str, tuple[Change, ...]]]:
        events = self.state.apply(Step(self.revision, mutations)).events
        assert all(event.revision == self.revision for event in events)
        return [(event.scope, event.stack_id, event.changes) for event in events]

    @rule(scope=st.sampled_from(SCOPES), skip=st.integers(1, 3))
    def create_or_change_a_stack(self, scope: Scope, skip: int) -> None:
        self.revision += skip
        if scope in self.ids:
            known = self.state.stack(scope)
            assert known is not None
            record = replace(known, description=str(self.revision), revision=self.revision)
        else:
            self.made += 1
            self.ids[scope] = f"id{self.made}"
            self.facts[scope] = {}
            record = stack(scope, self.ids[scope], self.revision)
        assert self.step(PutStack(record)) == [], "settings make no event"
        assert self.state.stack(scope) == record

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), with_act=st.booleans())
    def delete_a_stack(self, data: st.DataObject, with_act: bool) -> None:
        scope = data.draw(st.sampled_from(sorted(self.ids)))
        self.revision += 1
        stack_id = self.ids.pop(scope)
        left = self.facts.pop(scope)
        act = DeletionAuthor(stack_id, "bob", "req-bob", whole_stack=True)
        by, request = ("bob", "req-bob") if with_act else (None, None)
        told = self.step(DropStack(scope), *((act,) if with_act else ()))
        assert told == [(scope, stack_id, (Change("stack.delete", None, None, None, by, request),))]
        self.revision += 1
        assert self.step(*(DropFact(stack_id, path) for path in left)) == [], "the sweep is silent"

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def change_facts(self, data: st.DataObject) -> None:
        """Apply one step with puts and drops in one or two stacks, some with a deletion author."""
        self.revision += 1
        scopes = data.draw(
            st.lists(st.sampled_from(sorted(self.ids)), min_size=1, max_size=2, unique=True)
        )
        mutations: list[Mutation] = []
        expected = []
        for scope in scopes:
            stack_id, held = self.ids[scope], self.facts[scope]
            paths = data.draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=4, unique=True))
            changes = []
            told_paths = data.draw(st.sets(st.sampled_from(PATHS)))
            for path in paths:
                previous = held.get(path)
                if data.draw(st.booleans()):
                    new = fact(path, self.revision, self.revision)
                    held[path] = new
                    mutations.append(PutFact(stack_id, new))
                    changes.append(
                        Change("fact.put", path, new, previous, new.updated_by, new.request_id)
                    )
                    continue
                mutations.append(DropFact(stack_id, path))
                if previous is None:
                    continue
                del held[path]
                if path in told_paths:
                    changes.append(Change("fact.delete", path, None, previous, "bob", "req-bob"))
                else:
                    changes.append(Change("fact.expire", path, None, previous, None, None))
            mutations.append(DeletionAuthor(stack_id, "bob", "req-bob", tuple(sorted(told_paths))))
            if changes:
                expected.append((scope, stack_id, tuple(changes)))
        assert self.step(*mutations) == expected

    @rule(data=st.data())
    def see_an_old_step_again(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(0, self.revision))
        old = Step(revision, (DropStack(SCOPES[0]), PutFact("id1", fact("x", "old"))))
        assert self.state.apply(old).events == ()
        assert self.state.revision == self.revision

    @rule()
    def see_facts_of_a_stack_that_is_unknown(self) -> None:
        self.revision += 1
        assert self.step(PutFact("never", fact("x")), DropFact("never", "x")) == []

    @rule()
    def reload_from_its_own_mutations(self) -> None:
        loaded = State(self.revision)
        loaded.load(self.state.mutations())
        self.state = loaded

    @invariant()
    def all_reads_agree_with_the_dict(self) -> None:
        assert self.state.revision == self.revision
        for scope in SCOPES:
            held = self.facts.get(scope)
            contents, usage = self.state.contents(scope), self.state.usage(scope)
            if held is None:
                assert self.state.stack(scope) is contents is usage is None
                assert self.state.fact(scope, "x") is None
                assert self.state.first_below(scope, "n", ()) is None
                continue
            record = self.state.stack(scope)
            assert record is not None
            assert contents is not None
            assert usage is not None
            assert record.id == self.ids[scope] == contents.stack.id
            assert usage.facts == len(held)
            assert usage.bytes == sum(len(f.text) + len(f.path) for f in held.values())
            assert contents.revision == self.revision
            for prefix in PREFIXES:
                part = self.state.contents(scope, prefix)
                assert part is not None
                assert list(part.facts) == [
                    held[path] for path in sorted(held) if covers(prefix, path)
                ]
            for path in PATHS:
                assert self.state.fact(scope, path) == held.get(path)
                below = [p for p in sorted(held) if p != path and covers(path, p)]
                first = below[0] if below else None
                assert self.state.first_below(scope, path, ()) == first
                rest = below[1] if len(below) > 1 else None
                assert self.state.first_below(scope, path, set(below[:1])) == rest
        for project in ("p1", "p2", "p3"):
            names = sorted(s.stack for s in self.ids if s.project_id == project)
            assert [s.name for s in self.state.stacks(project)] == names


TestStateAgainstADict = StateAgainstADict.TestCase
TestStateAgainstADict.settings = settings(max_examples=60, stateful_step_count=25)


def test_a_deletion_without_an_author_is_an_expiry() -> None:
    state = state_with(["a", "b"])
    act = DeletionAuthor("s1", "bob", "req-bob", ("a",))
    (event,) = events_of(state, Step(9, (DropFact("s1", "a"), DropFact("s1", "b"), act)))
    assert [(c.type, c.path, c.by) for c in event.changes] == [
        ("fact.delete", "a", "bob"),
        ("fact.expire", "b", None),
    ]


def test_a_deletion_author_of_another_stack_is_ignored() -> None:
    state = state_with(["a"])
    (event,) = events_of(
        state, Step(9, (DropFact("s1", "a"), DeletionAuthor("s2", "bob", "req-bob", ("a",))))
    )
    assert event.changes[0].type == "fact.expire"


def test_an_event_contains_the_previous_and_the_new_value() -> None:
    state = state_with(["a"])
    (event,) = events_of(state, Step(9, (PutFact("s1", fact("a", "new", 9)),)))
    (change,) = event.changes
    assert change.previous is not None
    assert change.fact is not None
    assert (json.loads(change.previous.text), json.loads(change.fact.text)) == (2, "new")


def test_a_recreated_stack_is_empty_and_ignores_records_of_the_former_one() -> None:
    state = state_with(["a"])
    state.apply(Step(9, (DropStack(SCOPE),)))
    state.apply(Step(10, (PutStack(stack(stack_id="s2", created=10)),)))
    assert state.fact(SCOPE, "a") is None
    assert (
        state.apply(Step(11, (PutFact("s1", fact("late", 1, 11)), DropFact("s1", "a")))).events
        == ()
    )
    contents = state.contents(SCOPE)
    assert contents is not None
    assert contents.facts == ()
    (event,) = events_of(state, Step(12, (PutFact("s2", fact("a", 1, 12)),)))
    assert event.stack_id == "s2"
    assert event.changes[0].previous is None


def test_a_reloaded_stack_counts_as_changed() -> None:
    """Deletions between the old state and the new one leave no trace."""
    state = state_with(["a", "b"])
    before = state.contents(SCOPE)
    missed = [m for m in state.mutations() if not (isinstance(m, PutFact) and m.fact.path == "a")]
    again = State(7)
    again.load(missed)
    after = again.contents(SCOPE)
    assert before is not None
    assert after is not None
    assert after.facts != before.facts
    assert after.changed != before.changed


def test_the_deletion_of_a_stack_is_one_change() -> None:
    state = state_with(["a", "b"])
    act = DeletionAuthor("s1", "bob", "req-bob", whole_stack=True)
    (event,) = events_of(state, Step(9, (DropStack(SCOPE), act)))
    assert event.ends_stack
    assert [(c.type, c.path, c.by) for c in event.changes] == [("stack.delete", None, "bob")]


def test_a_stack_whose_id_has_a_record_with_another_name_can_be_deleted() -> None:
    state = state_with()
    (known,) = state.stacks(SCOPE.project_id)
    # Only a damaged store has this.  The worker must still follow the store.
    state.apply(Step(8, (PutStack(replace(known, name="other")),)))
    state.apply(Step(9, (DropStack(SCOPE),)))
    assert state.stacks(SCOPE.project_id) == []
