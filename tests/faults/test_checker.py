"""The watch checker passes what is right and finds whatever is not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from copy import deepcopy

import pytest

from factstore.core.model.flapping_report import flapping_key
from factstore.core.model.stuck_report import STUCK_REPORT
from factstore.store.keyspace import Keyspace
from tests.faults.checker import (
    Bookmark,
    Change,
    Held,
    History,
    RawChange,
    Resumed,
    Scope,
    Segment,
    Told,
    check_watcher,
)
from tests.faults.ledger import Attempt, check_attempts
from tests.faults.watchers import read_changes

KEYS = Keyspace("/root")
SCOPE = Scope("p", "s")
LIVES = 30


def _fact(path: str, value: object, stack_id: str = "S1") -> RawChange:
    record = f"{json.dumps({'format': 1})}\n{json.dumps(value)}"
    return RawChange(KEYS.fact("p", stack_id, path), record.encode())


def _gone(path: str, stack_id: str = "S1") -> RawChange:
    return RawChange(KEYS.fact("p", stack_id, path), None)


def _act(*paths: str, stack_id: str = "S1") -> RawChange:
    return RawChange(KEYS.act(1), json.dumps({"stack_id": stack_id, "paths": paths}).encode())


def _stack(stack_id: str | None) -> RawChange:
    record = json.dumps({"id": stack_id}).encode() if stack_id else None
    return RawChange(KEYS.stack("p", "s"), record)


def _history(chance: random.Random, revisions: int = 60) -> History:
    """Puts, batches, deletes, expiries, other keys, and one stack that dies and comes back."""
    history = History(KEYS)
    history.feed(1, [_stack("S1")])
    stack_id, present = "S1", set[str]()
    for revision in range(2, revisions):
        paths = [f"nodes/n{chance.choice([1, 2, 10])}/k{number}" for number in range(4)]
        what = chance.random()
        if revision == revisions // 2:
            history.feed(revision, [_stack(None)])
            present.clear()
        elif revision == revisions // 2 + 1:
            stack_id = "S2"
            history.feed(revision, [_stack("S2"), _fact("first", 1, "S2")])
            present.add("first")
        elif what < 0.1:
            history.feed(revision, [RawChange(KEYS.sentinel, b"")])
        elif what < 0.3 and present:
            path = chance.choice(sorted(present))
            present.remove(path)
            changes = [_gone(path, stack_id)]
            if chance.random() < 0.5:
                changes.append(_act(path, stack_id=stack_id))
            history.feed(revision, changes)
        else:
            chosen = sorted(set(chance.sample(paths, chance.choice([1, 1, 3]))))
            present.update(chosen)
            history.feed(revision, [_fact(path, [revision, path], stack_id) for path in chosen])
    return history


def _honest(history: History, chance: random.Random, prefix: str = "") -> list[Segment]:
    """Return the segment of a watcher that reconnects and receives bookmarks now and then."""
    segment = Segment(0)
    for revision, changes in history.expected(SCOPE, prefix).items():
        if chance.random() < 0.2 and segment.items:
            segment.items.append(Bookmark(revision - 1))
        if chance.random() < 0.2:
            segment.items.append(Resumed(segment.position))
        shuffled = chance.sample(changes, len(changes))
        segment.items.append(Told(revision, tuple(shuffled)))
    segment.items.append(Bookmark(history.revision))
    return [segment]


def _kinds(history: History, segments: list[Segment], prefix: str = "") -> set[str]:
    found = check_watcher(history, SCOPE, prefix, segments, history.revision)
    return {violation.kind for violation in found}


@pytest.mark.parametrize("prefix", ["", "nodes", "nodes/n1", "first", "nothing"])
def test_an_honest_watcher_is_passed(prefix: str) -> None:
    for number in range(LIVES):
        chance = random.Random(number)
        history = _history(chance)
        assert _kinds(history, _honest(history, chance, prefix), prefix) == set(), number


Seeding = Callable[[Segment, random.Random], None]


def _positions(segment: Segment, kind: type) -> list[int]:
    return [at for at, item in enumerate(segment.items) if isinstance(item, kind)]


def _drop(segment: Segment, chance: random.Random) -> None:
    del segment.items[chance.choice(_positions(segment, Told))]


def _drop_with_what_follows(segment: Segment, chance: random.Random) -> None:
    del segment.items[chance.choice(_positions(segment, Told)) :]


def _duplicate(segment: Segment, chance: random.Random) -> None:
    at = chance.choice(_positions(segment, Told))
    later = chance.choice([at + 1, *range(at + 1, len(segment.items))])
    segment.items.insert(later, segment.items[at])


def _reorder(segment: Segment, chance: random.Random) -> None:
    told = _positions(segment, Told)
    first, second = sorted(chance.sample(told, 2))
    items = segment.items
    items[first], items[second] = items[second], items[first]


def _split(segment: Segment, chance: random.Random) -> None:
    at = chance.choice([a for a in _positions(segment, Told) if len(segment.items[a].changes) > 1])
    whole = segment.items[at]
    cut = chance.randrange(1, len(whole.changes))
    halves = [Told(whole.revision, part) for part in (whole.changes[:cut], whole.changes[cut:])]
    segment.items[at : at + 1] = halves


def _shorten(segment: Segment, chance: random.Random) -> None:
    at = chance.choice([a for a in _positions(segment, Told) if len(segment.items[a].changes) > 1])
    whole = segment.items[at]
    segment.items[at] = Told(whole.revision, whole.changes[1:])


def _bookmark_too_far(segment: Segment, chance: random.Random) -> None:
    at = chance.choice(_positions(segment, Told))
    ahead = segment.items[at].revision + chance.randrange(3)
    segment.items.insert(at, Bookmark(ahead))


def _bookmark_ahead_of_the_store(segment: Segment, chance: random.Random) -> None:
    segment.items.append(Bookmark(segment.position + 1 + chance.randrange(100)))


def _bookmark_then_skip(segment: Segment, chance: random.Random) -> None:
    """The watcher resumes from a bookmark beyond something that it was never told."""
    at = chance.choice(_positions(segment, Told))
    revision = segment.items[at].revision
    segment.items[at : at + 1] = [Bookmark(revision), Resumed(revision)]


def _resume_too_early(segment: Segment, chance: random.Random) -> None:
    at = chance.choice(_positions(segment, Told))
    segment.items.insert(at, Resumed(segment.items[at].revision))


def _invent(segment: Segment, chance: random.Random) -> None:
    put = Change("fact.put", "ghost", 1, "1", 0)
    at = chance.choice(_positions(segment, Told))
    segment.items.insert(at, Told(segment.items[at].revision, (put,)))


def _alter(segment: Segment, chance: random.Random) -> None:
    at = chance.choice(_positions(segment, Told))
    event = segment.items[at]
    changed = chance.choice(
        [
            event.changes[0]._replace(value='"other"'),
            event.changes[0]._replace(previous=event.changes[0].previous + 1),
            event.changes[0]._replace(type="fact.other"),
        ]
    )
    segment.items[at] = Told(event.revision, (changed, *event.changes[1:]))


@pytest.mark.parametrize(
    ("seeded", "kind"),
    [
        (_drop, "missing"),
        (_drop_with_what_follows, "missing"),
        (_duplicate, "duplicate"),
        (_reorder, "reordered"),
        (_split, "split"),
        (_shorten, "split"),
        (_bookmark_too_far, "bookmark"),
        (_bookmark_ahead_of_the_store, "bookmark"),
        (_bookmark_then_skip, "missing"),
        (_resume_too_early, "resume"),
        (_invent, "wrong"),
        (_alter, "wrong"),
    ],
)
def test_every_seeded_fault_is_found_and_named(seeded: Seeding, kind: str) -> None:
    for number in range(LIVES):
        chance = random.Random(number)
        history = _history(chance)
        segments = deepcopy(_honest(history, chance))
        seeded(segments[0], chance)
        assert kind in _kinds(history, segments), number


def test_an_event_of_a_revision_that_did_nothing_here_is_found() -> None:
    history = History(KEYS)
    history.feed(1, [_stack("S1")])
    history.feed(2, [RawChange(KEYS.sentinel, b"")])
    put = Change("fact.put", "a", 2, "1", 0)
    assert _kinds(history, [Segment(1, None, [Told(2, (put,))])]) == {"phantom"}


def test_a_prefix_ends_at_a_segment() -> None:
    history = History(KEYS)
    history.feed(1, [_stack("S1"), _fact("n1/a", 1), _fact("n10/a", 1), _fact("n1", 1)])
    told = {change.path for change in history.expected(SCOPE, "n1")[1]}
    assert told == {"n1/a", "n1"}


def test_a_deletion_without_its_act_is_an_expiry() -> None:
    history = History(KEYS)
    history.feed(1, [_stack("S1"), _fact("a", 1), _fact("b", 1)])
    history.feed(2, [_gone("a"), _act("a")])
    history.feed(3, [_gone("b")])
    events = history.events[SCOPE]
    assert [events[2][0].type, events[3][0].type] == ["fact.delete", "fact.expire"]


def test_the_report_of_a_stuck_stack_is_an_event_when_it_begins_and_when_it_ends() -> None:
    history = History(KEYS)
    history.feed(1, [_stack("S1")])
    key = KEYS.record(SCOPE.project_id, "S1", STUCK_REPORT)
    history.feed(2, [RawChange(key, b"{}")])
    history.feed(3, [RawChange(key, None)])
    told = [
        {"type": kind, "path": None, "fact": None, "previous": None}
        for kind in ("stack.stuck", "stack.unstuck")
    ]
    assert [history.events[SCOPE][at] for at in (2, 3)] == [read_changes([each]) for each in told]


def test_a_path_that_flaps_is_an_event_once_until_its_report_has_ended() -> None:
    history = History(KEYS)
    history.feed(1, [_stack("S1")])
    key = KEYS.record(SCOPE.project_id, "S1", flapping_key("a/b"))
    for revision, value in enumerate((b"{}", b"{}", None, b"{}"), 2):
        history.feed(revision, [RawChange(key, value)])
    told = {"type": "stack.flapping", "path": None, "fact": None, "previous": None}
    told["flapping"] = {"path": "a/b"}
    events = history.events[SCOPE]
    assert {at: list(events[at]) for at in events if at > 1} == {
        at: list(read_changes([told])) for at in (2, 5)
    }


def test_keys_purged_after_a_stacks_deletion_are_no_events() -> None:
    history = History(KEYS)
    history.feed(1, [_stack("S1"), _fact("a", 1)])
    history.feed(2, [_stack(None)])
    history.feed(3, [_gone("a")])
    assert list(history.events[SCOPE]) == [1, 2]
    assert history.state(SCOPE) == {}


def test_a_snapshot_must_match_the_state_at_its_cursor() -> None:
    history = History(KEYS)
    history.feed(1, [_stack("S1"), _fact("a", 1)])
    history.feed(2, [_fact("a", 2)])
    old, new = {"a": Held(1, "1")}, {"a": Held(2, "2")}
    assert _kinds(history, [Segment(2, new)]) == set()
    assert _kinds(history, [Segment(2, old)]) == {"snapshot"}
    assert _kinds(history, [Segment(2, {})]) == {"snapshot"}


def test_only_the_last_segment_must_reach_the_end() -> None:
    history = History(KEYS)
    history.feed(1, [_stack("S1"), _fact("a", 1)])
    history.feed(2, [_fact("a", 2)])
    stood = {"a": Held(2, "2")}
    assert _kinds(history, [Segment(1), Segment(2, stood)]) == set()
    assert _kinds(history, [Segment(1)]) == {"missing"}


@pytest.mark.parametrize(
    ("attempt", "kinds"),
    [
        (Attempt(SCOPE, {"a": 1}, (), "done", 2), set()),
        (Attempt(SCOPE, {"a": 1}, (), "done", 3), {"lost"}),
        (Attempt(SCOPE, {"a": 7}, (), "done", 2), {"lost"}),
        (Attempt(SCOPE, {"a": 1}, (), "refused"), {"refused"}),
        (Attempt(SCOPE, {"a": 1, "b": 1}, (), "unknown"), set()),
        (Attempt(SCOPE, {"a": 7, "b": 8}, (), "unknown"), set()),
        (Attempt(SCOPE, {"a": 1, "b": 8}, (), "unknown"), {"half"}),
        (Attempt(SCOPE, {"a": 1, "c": 3}, (), "unknown"), {"half"}),
        (Attempt(SCOPE, {"c": 3}, (), "unknown"), set()),
        (Attempt(SCOPE, {"d": 4}, (), "unknown"), {"repeated"}),
        (Attempt(SCOPE, {}, ("d",), "done", 5), set()),
        (Attempt(SCOPE, {}, ("a",), "done", 5), {"lost"}),
    ],
)
def test_the_outcome_of_a_write_is_judged_by_the_history(attempt: Attempt, kinds: set[str]) -> None:
    history = History(KEYS)
    history.feed(1, [_stack("S1")])
    history.feed(2, [_fact("a", 1), _fact("b", 1)])
    history.feed(3, [_fact("c", 3)])
    history.feed(4, [_fact("d", 4)])
    history.feed(5, [_gone("d"), _act("d")])
    history.feed(6, [_fact("d", 4)])
    assert {violation.kind for violation in check_attempts(history, [attempt])} == kinds
