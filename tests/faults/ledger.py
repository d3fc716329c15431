"""The requests of writers and their responses, compared with the history of the store.

Every value that a writer puts is unique, so the store's history shows the outcome of each request.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.faults.checker import Change, History, Scope, Violation, canonical


@dataclass(frozen=True)
class Attempt:
    """One write.

    :param answer: ``done``; ``refused``, which promises that nothing was written; or ``unknown``.
    :param revision: at which a done one says that it happened.
    """

    scope: Scope
    puts: Mapping[str, object]
    deletes: tuple[str, ...]
    answer: str
    revision: int = 0


class Ledger:
    """Attempts, noted by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: Attempt | None = None
        self.attempts: list[Attempt] = []
        self.done = 0

    def note(self, attempt: Attempt) -> None:
        with self._lock:
            self.attempts.append(attempt)
            self.done += attempt.answer == "done"
            if attempt.answer == "done" and attempt.puts:
                self._latest = attempt

    def latest(self) -> Attempt:
        """The last acknowledged write of a fact."""
        assert self._latest is not None
        return self._latest

    def count(self, answer: str) -> int:
        with self._lock:
            return sum(attempt.answer == answer for attempt in self.attempts)


def check_attempts(history: History, attempts: Iterable[Attempt]) -> list[Violation]:
    """Acknowledged writes that are not there, refused ones that are, halves, and repetitions."""
    puts: dict[tuple[Scope, str | None, str | None], list[int]] = {}
    for scope, events in history.events.items():
        for revision, changes in events.items():
            for change in changes:
                if change.type == "fact.put":
                    puts.setdefault((scope, change.path, change.value), []).append(revision)
    found: list[Violation] = []
    for attempt in attempts:
        written = [
            puts.get((attempt.scope, path, canonical(value)), [])
            for path, value in attempt.puts.items()
        ]
        found += _judge(attempt, written, history)
    return found


def _judge(attempt: Attempt, written: list[list[int]], history: History) -> Iterable[Violation]:
    if any(len(revisions) > 1 for revisions in written):
        yield Violation("repeated", f"{attempt} was carried out at {written}")
    if attempt.answer == "done":
        if any(revisions[:1] != [attempt.revision] for revisions in written):
            yield Violation("lost", f"{attempt} was acknowledged but is at {written}")
        changes = history.events.get(attempt.scope, {}).get(attempt.revision, ())
        gone = {change.path for change in changes if _was_deleted(change)}
        if not gone.issuperset(attempt.deletes):
            yield Violation(
                "lost", f"{attempt} was acknowledged but took away {sorted(map(str, gone))}"
            )
    elif attempt.answer == "refused" and any(written):
        yield Violation("refused", f"{attempt} was refused but is at {written}")
    elif len({tuple(revisions) for revisions in written}) > 1:
        yield Violation("half", f"{attempt} is at {written}")


def _was_deleted(change: Change) -> bool:
    return change.type == "fact.delete"
