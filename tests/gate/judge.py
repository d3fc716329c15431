"""All checkers of a recording."""

from __future__ import annotations

from tests.faults.checker import History, Violation, check_watcher
from tests.gate.lifetimes import check_alarms, check_holds, check_lives, check_waiters
from tests.gate.linearizability import check_linearizable
from tests.gate.recording import Recording
from tests.gate.replay import check_copies, check_operations


def judge(recording: Recording) -> list[Violation]:
    """Return everything in a recording that breaks a promise."""
    history = recording.history()
    found = check_operations(recording, history)
    found += check_linearizable(recording.operations, _stored(history))
    for each in recording.watchers:
        wrong = check_watcher(history, each.scope, each.prefix, each.segments, each.until)
        found += [
            Violation(violation.kind, f"{each.name}: {violation.detail}") for violation in wrong
        ]
    found += check_copies(recording, history)
    found += check_lives(recording, history)
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
