"""All checkers of a recording."""

from __future__ import annotations

from typing import NamedTuple

from tests.faults.checker import History, Violation, check_watcher
from tests.gate.lifetimes import check_alarms, check_holds, check_lives, check_waiters
from tests.gate.linearizability import check_linearizable
from tests.gate.recording import Recording
from tests.gate.replay import check_copies, check_operations


class Judged(NamedTuple):
    """A recording that was found right, and the history of its store."""

    recording: Recording
    history: History


def judge(recording: Recording, right: Judged | None = None) -> list[Violation]:
    """Return everything in a recording that breaks a promise.

    :param right: a recording that was judged before; what is equal in both is not judged again.
    """
    if right is not None and recording.steps == right.recording.steps:
        history, known = right.history, right.recording
    else:
        history, known = recording.history(), None
    found: list[Violation] = []
    if known is None or (recording.operations, recording.copies) != (
        known.operations,
        known.copies,
    ):
        found += check_operations(recording, history)
        found += check_linearizable(recording.operations, _stored(history))
        found += check_copies(recording, history)
    for number, each in enumerate(recording.watchers):
        if known is not None and each == known.watchers[number]:
            continue
        wrong = check_watcher(history, each.scope, each.prefix, each.segments, each.until)
        found += [
            Violation(violation.kind, f"{each.name}: {violation.detail}") for violation in wrong
        ]
    found += check_lives(recording, history)
    if known is None:
        found += check_waiters(history)
        found += check_alarms(history)
    return found + list(check_holds(recording))


def _stored(history: History) -> set[str]:
    """Return all values that facts ever had."""
    return {
        change.value
        for events in history.events.values()
        for changes in events.values()
        for change in changes
        if change.value is not None
    }
