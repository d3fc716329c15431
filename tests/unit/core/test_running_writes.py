"""The writes that run in this worker, from their beginning to their outcome."""

from __future__ import annotations

import math

import pytest

from factstore.core.errors import OutcomeUnknown, PreconditionFailed
from factstore.core.model.fact import Scope
from factstore.core.operations import running_writes
from factstore.core.operations.running_writes import RunningWrites
from tests.unit.core.factories import SCOPE, ManualClock

OTHER = Scope(SCOPE.project_id, "other")


def test_the_oldest_write_of_each_stack_is_known_until_it_has_ended() -> None:
    clock = ManualClock()
    running = RunningWrites(clock)
    begun = clock.now
    assert running.oldest(SCOPE) == math.inf
    running.begin(SCOPE, "first")
    clock.now += 1
    running.begin(SCOPE, "second")
    with running.running(OTHER, begun - 3):
        assert (running.oldest(SCOPE), running.oldest(OTHER)) == (begun, begun - 3)
    running.end(SCOPE, "first")
    assert (running.oldest(SCOPE), running.oldest(OTHER)) == (begun + 1, math.inf)
    running.end(SCOPE, "first")
    running.end(SCOPE, "second")
    assert running.oldest(SCOPE) == math.inf


@pytest.mark.parametrize("error", [PreconditionFailed("no"), OutcomeUnknown("lost")])
def test_a_write_that_fails_has_ended(error: Exception) -> None:
    running = RunningWrites(ManualClock())
    with pytest.raises(type(error)), running.running(SCOPE):
        raise error
    assert running.oldest(SCOPE) == math.inf


def test_stacks_without_running_writes_do_not_accumulate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_writes, "STACKS", 10)
    running = RunningWrites(ManualClock())
    running.begin(OTHER, "write", 1.0)
    for number in range(100):
        with running.running(Scope(SCOPE.project_id, f"s{number}")):
            assert running.oldest(OTHER) == 1.0
    assert len(running._began) <= 10
