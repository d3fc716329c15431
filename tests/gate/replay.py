"""Compares the responses to requests with the revisions of the store."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from tests.faults.checker import History, Scope, Violation
from tests.faults.ledger import Attempt, check_attempts
from tests.gate.recording import Copy, Operation, Recording, flattened
from tests.gate.values import Values


class Revisions:
    """The revisions that were known at each instant.

    :param known: pairs of an instant and a revision that a response or an event stated.
    """

    def __init__(self, known: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(known)
        self._times = [at for at, _ in ordered]
        self._newest = list(accumulate((revision for _, revision in ordered), max))
        by_revision = sorted(ordered, key=lambda each: each[1])
        self._revisions = [revision for _, revision in by_revision]
        times = [at for at, _ in by_revision]
        self._earliest = list(accumulate(reversed(times), min))[::-1]

    def before(self, at: float) -> int:
        """Return the newest revision that somebody had received before an instant."""
        count = bisect_left(self._times, at)
        return self._newest[count - 1] if count else 0

    def received_at(self, revision: int) -> float:
        """Return the first instant at which somebody had received this revision or a later one."""
        first = bisect_left(self._revisions, revision)
        return self._earliest[first] if first < len(self._earliest) else math.inf


def check_operations(recording: Recording, history: History) -> list[Violation]:
    """Return the writes that are not in the store as answered, and the reads that were stale."""
    operations = recording.operations
    revisions = Revisions(all_known(recording))
    found = check_attempts(history, [_attempt(each) for each in operations if each.puts])
    values = Values(history)
    for operation in operations:
        before = revisions.before(operation.started)
        if operation.kind == "read":
            seen = (operation.scope, operation.path, operation.seen)
            if operation.is_known and not values.could_be_read(*seen, before):
                found.append(Violation("stale", f"{operation} after revision {before}"))
        elif operation.outcome == "done" and 0 < operation.revision <= before:
            found.append(Violation("order", f"{operation} after revision {before}"))
        elif operation.outcome == "refused" and operation.request_id in history.requests:
            at = history.requests[operation.request_id]
            found.append(Violation("denied", f"{operation} was carried out at {at}"))
    found += _check_deletions(operations, history, revisions)
    return found


def check_copies(recording: Recording, history: History) -> Iterator[Violation]:
    """Yield the copies of contexts that differ from the store, or were older than others had seen."""
    revisions = Revisions(all_known(recording))
    for copy in recording.copies:
        if copy.revision < revisions.before(copy.started):
            yield Violation("stale", f"{copy.name}: {copy.revision} at {copy.started}")
    for copy, stored in _states(recording.copies, history):
        facts = flattened({path: json.loads(value) for path, value in stored.items()})
        if dict(copy.facts) != facts:
            wrong = sorted(set(facts.items()) ^ set(copy.facts.items()))[:5]
            yield Violation("copy", f"{copy.name} at {copy.revision}: {wrong}")


def all_known(recording: Recording) -> list[tuple[float, int]]:
    """Return all instants at which somebody had received a revision."""
    found = list(recording.known)
    found += [(each.ended, each.revision) for each in recording.operations if each.revision]
    return found + [(copy.ended, copy.revision) for copy in recording.copies]


def _attempt(operation: Operation) -> Attempt:
    answer = "refused" if operation.outcome == "unmet" else operation.outcome
    puts = {path: json.loads(value) for path, value in operation.puts.items()}
    return Attempt(operation.scope, puts, (), answer, operation.revision)


def _check_deletions(
    operations: Iterable[Operation], history: History, revisions: Revisions
) -> Iterator[Violation]:
    """Yield the acknowledged deletions that no revision after their start contains.

    A full store has no room for the author of a deletion, which then looks like an expiry.
    """
    deleted: dict[tuple[Scope, str | None], list[int]] = {}
    for scope, events in history.events.items():
        for revision, changes in events.items():
            for change in changes:
                if change.type in ("fact.delete", "fact.expire"):
                    deleted.setdefault((scope, change.path), []).append(revision)
    for operation in operations:
        if operation.kind != "delete" or operation.outcome != "done":
            continue
        of_path = deleted.get((operation.scope, operation.path), [])
        before = revisions.before(operation.started)
        if not of_path or of_path[-1] <= before:
            yield Violation("lost", f"{operation} was acknowledged, and is not after {before}")


def _states(copies: Iterable[Copy], history: History) -> Iterator[tuple[Copy, dict[str, str]]]:
    """Yield each copy with the facts of its stack at its revision."""
    by_scope: dict[Scope, list[Copy]] = {}
    for copy in copies:
        by_scope.setdefault(copy.scope, []).append(copy)
    for scope, of_scope in by_scope.items():
        facts: dict[str, str] = {}
        events = sorted(history.events.get(scope, {}).items())
        at = 0
        for copy in sorted(of_scope, key=lambda each: each.revision):
            while at < len(events) and events[at][0] <= copy.revision:
                for change in events[at][1]:
                    if change.path is None:
                        facts.clear()
                    elif change.value is not None:
                        facts[change.path] = change.value
                    elif change.type.startswith("fact."):
                        facts.pop(change.path, None)
                at += 1
            yield copy, facts
