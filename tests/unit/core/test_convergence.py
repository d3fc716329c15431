"""The revisions that members have to apply, compared with a naive reading of the whole history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.event import (
    DELETION_MARKER,
    DropFact,
    DropRecord,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.member import Applied, Member
from factstore.core.model.read_set import ReadSet, member_path
from factstore.core.model.record import RecordKey
from factstore.core.state.convergence import Convergence
from factstore.core.state.deletions import LIMIT, Deletions
from factstore.core.state.state import State
from tests.unit.core.factories import EPOCH, SCOPE, fact, stack
from tests.unit.core.records import LEASE, member

NAMES = ["c1", "c2", "h1"]
PATHS = ["a", "b/c", "b/d/e", "b/d/f", "nodes/c1/ip", "nodes/c2/ip", "nodes/c2/load", "results/x"]
PATTERNS = [
    "a", "a/x", "b", "b/", "b/c", "b/d", "b/d/", "b/d/e/", "*", "*/", "*/c", "nodes/", "nodes/*/ip",
    "nodes/*/", "nodes/c2/ip", "missing", "missing/",
]  # fmt: skip


class History:
    """A state, and everything that has happened to it."""

    def __init__(self) -> None:
        self.state = State(1, EPOCH)
        self.state.load([PutStack(stack())])
        self.changes: list[tuple[int, str, bool]] = []
        self.read_sets: dict[str, ReadSet] = {}
        self.applied: dict[str, int] = {}

    @property
    def convergence(self) -> Convergence:
        stack_state = self.state.stack_state(SCOPE)
        assert stack_state is not None
        return stack_state.convergence

    def move(self, mutation: Mutation) -> frozenset[str]:
        """Apply a mutation; return the digests of the read sets that it concerned."""
        result = self.state.apply(Step(self.state.revision + 1, (mutation,)))
        return result.touched.get(SCOPE, frozenset())

    def change(self, kind: str, name: str, value: Any) -> None:
        at = self.state.revision + 1
        living = self.state.member(SCOPE, name)
        match kind:
            case "put":
                known = self.state.fact(SCOPE, name)
                created = known.created if known else at
                self.note(at, name, value_only=known is not None)
                self.move(PutFact("s1", fact(name, value, at, created=created)))
            case "drop":
                if self.state.fact(SCOPE, name) is not None:
                    self.note(at, name)
                self.move(DropFact("s1", name))
            case "member":
                if living is not None:
                    self.note(at, member_path(living.group, name))
                self.note(at, member_path(value, name))
                self.move(PutRecord("s1", member(name, at, group=value)))
            case "depart" if living is not None:
                self.note(at, member_path(living.group, name))
                self.move(PutRecord("s1", replace(living, state="departed", revision=at)))
            case "expire" if living is not None:
                self.note(at, member_path(living.group, name))
                self.move(DropRecord("s1", RecordKey(Member, name)))
            case "read" if value is None:
                self.read_sets.pop(name, None)
                self.move(DropRecord("s1", RecordKey(ReadSet, name)))
            case "read":
                self.read_sets[name] = ReadSet.of(name, *value)
                self.move(PutRecord("s1", replace(self.read_sets[name], revision=at)))
            case "applied":
                self.applied[name] = value
                self.move(PutRecord("s1", Applied(name, value, revision=at, lease=LEASE)))

    def note(self, revision: int, path: str, *, value_only: bool = False) -> None:
        if not path.startswith("results/"):
            self.changes.append((revision, path, value_only))

    def target(self, name: str) -> int:
        """Return the revision that a member has to apply."""
        read_set = self.read_sets.get(name)
        concerned = [
            revision
            for revision, path, value_only in self.changes
            if read_set is None
            or any(
                each.is_concerned(path.split("/"), value_only=value_only)
                for each in read_set.patterns()
            )
        ]
        return max(concerned, default=0)


def read_sets() -> st.SearchStrategy[Any]:
    return st.tuples(
        st.lists(st.sampled_from(PATTERNS), max_size=4),
        st.lists(st.sampled_from([*NAMES, "*"]), max_size=2),
        st.lists(st.sampled_from(["compute", "head"]), max_size=2),
    )


histories = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(PATHS), st.integers(0, 3)),
        st.tuples(st.just("drop"), st.sampled_from(PATHS), st.none()),
        st.tuples(st.just("member"), st.sampled_from(NAMES), st.sampled_from(["compute", "head"])),
        st.tuples(st.sampled_from(["depart", "expire"]), st.sampled_from(NAMES), st.none()),
        st.tuples(st.just("read"), st.sampled_from(NAMES), read_sets()),
        st.tuples(st.just("read"), st.sampled_from(NAMES), st.none() | read_sets()),
        st.tuples(st.just("applied"), st.sampled_from(NAMES), st.integers(1, 30)),
    ),
    max_size=30,
)


def targets(convergence: Convergence) -> dict[str, int]:
    return {name: convergence.target_of(name) for name in NAMES}


@given(histories)
def test_each_member_has_to_apply_the_newest_revision_that_concerns_its_read_set(
    changes: list[tuple[str, str, Any]],
) -> None:
    history = History()
    for change in changes:
        history.change(*change)
        expected = {name: history.target(name) for name in NAMES}
        assert targets(history.convergence) == expected
        stack_state = history.state.stack_state(SCOPE)
        assert stack_state is not None
        assert history.convergence.lagging == {
            name
            for name in stack_state.live_members
            if history.applied.get(name, -1) < expected[name]
        }


@given(histories)
def test_a_worker_that_starts_later_finds_the_same_targets(
    changes: list[tuple[str, str, Any]],
) -> None:
    history = History()
    for change in changes:
        history.change(*change)
    if history.convergence.last_deletion:
        history.move(PutRecord("s1", replace(history.convergence.marker, revision=99)))
    loaded = State(history.state.revision, EPOCH)
    loaded.load(history.state.mutations())
    stack_state = loaded.stack_state(SCOPE)
    assert stack_state is not None
    assert targets(stack_state.convergence) == targets(history.convergence)
    assert stack_state.convergence.lagging == history.convergence.lagging


def test_a_change_names_the_read_sets_that_it_concerns() -> None:
    history = History()
    for name, reads in (("c1", ["a"]), ("c2", ["a"]), ("h1", ["b/"])):
        history.change("member", name, "compute")
        history.change("read", name, (reads,))
    a, b = history.read_sets["c1"].digest, history.read_sets["h1"].digest
    at = history.state.revision
    assert history.move(PutFact("s1", fact("a", 1, at + 1, created=at + 1))) == {a}
    assert history.move(PutFact("s1", fact("b/c", 1, at + 2, created=at + 2))) == {b}
    assert history.move(PutFact("s1", fact("b/c", 2, at + 3, created=at + 2))) == set()
    assert history.move(PutFact("s1", fact("other", 1, at + 4, created=at + 4))) == set()
    wider = ReadSet.of("h1", ["*"])
    assert history.move(PutRecord("s1", replace(wider, revision=at + 5))) == {b}, "b is not current"


def test_a_marker_without_deletions_concerns_everybody() -> None:
    history = History()
    history.change("member", "c1", "compute")
    history.change("put", "a", 1)
    history.change("drop", "a", None)
    assert history.convergence.marker.deletions is None, "no member has a read set"
    history.move(PutRecord("s1", replace(history.convergence.marker, revision=9)))
    history.change("read", "c1", (["b"],))
    assert history.convergence.target_of("c1") == history.convergence.target == 4


def test_many_deletions_in_a_folder_are_kept_as_the_folder() -> None:
    deletions = Deletions()
    deletions.add("other/x", 1)
    for at in range(LIMIT):
        deletions.add(f"nodes/c{at}/ip", 2 + at)
    kept = dict(deletions.newest)
    assert len(kept) <= LIMIT
    assert kept["other/x"] == 1
    assert max(kept.values()) == LIMIT + 1
    for at in range(LIMIT):
        assert any(
            revision >= 2 + at and f"nodes/c{at}/ip".startswith(path)
            for path, revision in kept.items()
        )


def test_the_deletions_of_a_marker_replace_those_before_it() -> None:
    history = History()
    history.change("put", "a", 1)
    history.change("drop", "a", None)
    marker = replace(history.convergence.marker, seen=9, deletions={"b": 9}, revision=10)
    history.move(PutRecord("s1", marker))
    assert dict(history.convergence.deletions.newest) == {"b": 9}
    assert history.state.record(SCOPE, DELETION_MARKER) == marker
