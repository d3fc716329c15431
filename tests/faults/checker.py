"""Compare the events that watchers received with the history of a store.

Pure: nothing here waits, connects or knows HTTP.  A :class:`History` is built from a store's raw
changes by rules of its own, not by the service's code; :func:`check_watcher` compares with it what
one watcher recorded.  The promises, and what a breach of each is called:

=============  =====================================================================================
ordered        ``reordered``: an event after a later one
unique         ``duplicate``: the same event again
reliable       ``missing``: a change after the watcher's first cursor that it was never told
atomic         ``split``: one revision in several events, or only part of its changes
resumable      ``resume``: something at or before the cursor that the watcher resumed from
bookmarkable   ``bookmark``: something at or below a bookmark came after it, or a bookmark lay ahead
               of the store
truthful       ``phantom``: what the store never did; ``wrong``: other values than stored;
               ``snapshot``: a snapshot that is not what stood at its cursor
=============  =====================================================================================
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from factstore.store.keyspace import Keyspace
from tests.faults.record_events import WATCHED, StoredRecord, event_type


class Scope(NamedTuple):
    """A stack by its project and name."""

    project_id: str
    stack: str


class Change(NamedTuple):
    """One change as both sides can know it.

    :param revision: revision of the fact that was put; 0 for a deletion.
    :param value: canonical JSON; None for a deletion.
    :param previous: revision of the previous fact; 0 if there was none.
    """

    type: str
    path: str | None
    revision: int
    value: str | None
    previous: int


class Held(NamedTuple):
    """A fact that stands."""

    revision: int
    value: str


class RawChange(NamedTuple):
    """One key of the store, put or, without a value, deleted."""

    key: bytes
    value: bytes | None
    lease: int = 0


def canonical(value: Any) -> str:
    """A JSON value as text that is equal when the value is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def covers(prefix: str, path: str | None) -> bool:
    """Return True if a path is at or below a prefix, or is None (the end of the stack)."""
    return not prefix or path is None or path == prefix or path.startswith(f"{prefix}/")


class History:
    """The history of a store, revision by revision."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._ids: dict[str, Scope] = {}
        self._facts: dict[str, dict[str, Held]] = {}
        self._log: dict[Scope, list[tuple[int, str | None, Held | None]]] = {}
        self._records: dict[bytes, StoredRecord] = {}
        self.events: dict[Scope, dict[int, tuple[Change, ...]]] = {}
        self.records: dict[Scope, list[tuple[int, str, StoredRecord | None]]] = {}
        """Each put and deletion of a record that watchers follow, by its noun and name."""
        self.requests: dict[str, int] = {}
        """The first revision that each request wrote."""
        self.revision = 0

    def feed(self, revision: int, changes: Sequence[RawChange]) -> None:
        """Take in one whole revision; those known already are ignored."""
        if revision <= self.revision:
            return
        self.revision = revision
        acts = [
            json.loads(change.value)
            for change in changes
            if change.value is not None
            and (parsed := self._keyspace.parse(change.key))
            and parsed.type == "act"
        ]
        authored = {(act["stack_id"], path) for act in acts for path in act["paths"]}
        made: dict[Scope, list[Change]] = {}
        for change in changes:
            told = self._one(revision, change, authored)
            if told is not None:
                made.setdefault(told[0], []).append(told[1])
        for scope, of_scope in made.items():
            self.events.setdefault(scope, {})[revision] = tuple(of_scope)

    def expected(self, scope: Scope, prefix: str = "") -> dict[int, tuple[Change, ...]]:
        """Return the events that a watcher with this filter must receive, by revision."""
        kept = {
            revision: tuple(change for change in changes if covers(prefix, change.path))
            for revision, changes in self.events.get(scope, {}).items()
        }
        return {revision: changes for revision, changes in kept.items() if changes}

    def state(self, scope: Scope, prefix: str = "", at: int | None = None) -> dict[str, Held]:
        """The facts that stood at a revision, or stand now."""
        facts: dict[str, Held] = {}
        for revision, path, held in self._log.get(scope, []):
            if at is not None and revision > at:
                break
            if path is None:
                facts.clear()
            elif held is None:
                facts.pop(path, None)
            else:
                facts[path] = held
        return {path: held for path, held in facts.items() if covers(prefix, path)}

    def _one(
        self, revision: int, change: RawChange, authored: set[tuple[str, str]]
    ) -> tuple[Scope, Change] | None:
        parsed = self._keyspace.parse(change.key)
        if parsed is None:
            return None
        if change.value is not None:
            fields = json.loads(change.value.partition(b"\n")[0])
            self.requests.setdefault(fields.get("request_id", ""), revision)
        if parsed.type == "act":
            return None
        if parsed.type == "record":
            noun = WATCHED.get(parsed.record_key.kind) if parsed.record_key else None
            scope = self._ids.get(parsed.stack_id)
            return self._record(revision, scope, noun, change) if noun and scope else None
        if parsed.type == "stack":
            return self._stack(revision, Scope(parsed.project_id, parsed.name), change.value)
        scope = self._ids.get(parsed.stack_id)
        if scope is None:  # swept after the stack went
            return None
        facts = self._facts[parsed.stack_id]
        before = facts.pop(parsed.name, None)
        previous = before.revision if before else 0
        if change.value is None:
            if before is None:
                return None
            how = "fact.delete" if (parsed.stack_id, parsed.name) in authored else "fact.expire"
            self._log[scope].append((revision, parsed.name, None))
            return scope, Change(how, parsed.name, 0, None, previous)
        value = canonical(json.loads(change.value.partition(b"\n")[2]))
        facts[parsed.name] = Held(revision, value)
        self._log[scope].append((revision, parsed.name, facts[parsed.name]))
        return scope, Change("fact.put", parsed.name, revision, value, previous)

    def _record(
        self, revision: int, scope: Scope, noun: str, change: RawChange
    ) -> tuple[Scope, Change] | None:
        """Record the change of a record; its path is its noun and its name, which no fact has."""
        former = self._records.pop(change.key, None)
        current = None
        if change.value is not None:
            current = StoredRecord(json.loads(change.value), change.lease)
            self._records[change.key] = current
        name = f"{noun}:{change.key.decode().rpartition('/')[2]}"
        self.records.setdefault(scope, []).append((revision, name, current))
        how = event_type(noun, current, former)
        return (scope, Change(how, name, 0, None, 0)) if how else None

    def _stack(
        self, revision: int, scope: Scope, record: bytes | None
    ) -> tuple[Scope, Change] | None:
        if record is not None:
            stack_id = json.loads(record)["id"]
            self._ids[stack_id] = scope
            self._facts.setdefault(stack_id, {})
            self._log.setdefault(scope, [])
            return None
        for stack_id in [known for known, of in self._ids.items() if of == scope]:
            del self._ids[stack_id], self._facts[stack_id]
        self._log[scope].append((revision, None, None))
        return scope, Change("stack.delete", None, 0, None, 0)


@dataclass(frozen=True)
class Told:
    """An event that arrived."""

    revision: int
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Bookmark:
    """The claim that all events up to here were delivered."""

    revision: int


@dataclass(frozen=True)
class Resumed:
    """The watcher reconnected and requested all events after this revision."""

    revision: int


Item = Told | Bookmark | Resumed


@dataclass
class Segment:
    """All frames that a watcher received after one start, over any number of connections.

    :param snapshot: the facts that it was shown at the start, if it was.
    """

    start: int
    snapshot: Mapping[str, Held] | None = None
    items: list[Item] = field(default_factory=list)

    @property
    def position(self) -> int:
        """Return the revision up to which the watcher believes to be complete."""
        known = [item.revision for item in self.items if not isinstance(item, Resumed)]
        return max([self.start, *known])


@dataclass(frozen=True)
class Violation:
    """A broken promise."""

    kind: str
    detail: str


def check_watcher(
    history: History, scope: Scope, prefix: str, segments: Sequence[Segment], until: int
) -> list[Violation]:
    """Return all mistakes in the events that one watcher received.

    :param until: revision up to which its last segment must be complete.
    """
    expected = history.expected(scope, prefix)
    found: list[Violation] = []
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        end = max(until, segment.position) if last else segment.position
        found += _order(segment, history.revision)
        found += _content(segment, expected, end)
        if segment.snapshot is not None:
            stood = history.state(scope, prefix, at=segment.start)
            if dict(segment.snapshot) != stood:
                detail = f"at {segment.start}: {_difference(dict(segment.snapshot), stood)}"
                found.append(Violation("snapshot", detail))
    return found


def _order(segment: Segment, head: int) -> Iterable[Violation]:
    """Yield the mistakes in the order of arrival."""
    newest, bookmark, resumed = segment.start, 0, segment.start
    seen: dict[int, tuple[Change, ...]] = {}
    for item in segment.items:
        at = item.revision
        if isinstance(item, Resumed):
            resumed = at
            continue
        if isinstance(item, Bookmark):
            if at > head:
                yield Violation("bookmark", f"{at} lies ahead of the store's {head}")
            bookmark = max(bookmark, at)
            continue
        if at <= bookmark:
            yield Violation("bookmark", f"event {at} came after bookmark {bookmark}")
        if at in seen:
            same = Counter(seen[at]) == Counter(item.changes)
            yield Violation("duplicate" if same else "split", f"event {at} came again")
        elif at < newest:
            yield Violation("reordered", f"event {at} came after {newest}")
        if at <= resumed:
            yield Violation("resume", f"event {at} came after resuming from {resumed}")
        seen[at] = item.changes
        newest = max(newest, at)


def _content(
    segment: Segment, expected: Mapping[int, tuple[Change, ...]], end: int
) -> Iterable[Violation]:
    """Yield the differences from the store."""
    told = {item.revision for item in segment.items if isinstance(item, Told)}
    for revision in expected:
        if segment.start < revision <= end and revision not in told:
            yield Violation("missing", f"event {revision} never came; told up to {end}")
    for item in segment.items:
        if not isinstance(item, Told):
            continue
        truth = Counter(expected.get(item.revision, ()))
        got = Counter(item.changes)
        if not truth:
            detail = f"the store did nothing here at {item.revision}: {item.changes}"
            yield Violation("phantom", detail)
        elif got != truth:
            kind = "split" if not got - truth else "wrong"
            detail = f"event {item.revision}: {_difference(got, truth)}"
            yield Violation(kind, detail)


def _difference(got: Mapping[Any, Any], truth: Mapping[Any, Any]) -> str:
    keys = sorted({*got, *truth}, key=str)
    lines = [
        f"{key}: {got.get(key)} != {truth.get(key)}"
        for key in keys
        if got.get(key) != truth.get(key)
    ]
    return "; ".join(lines[:5])
