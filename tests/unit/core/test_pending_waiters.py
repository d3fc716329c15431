"""Pending waiters: updated with each change, evaluated at the end of each revision."""

from __future__ import annotations

from dataclasses import replace

from factstore.core.model.event import (
    DropFact,
    DropRecord,
    Mutation,
    PutFact,
    PutRecord,
    PutStack,
    Step,
)
from factstore.core.model.record import RecordKey
from factstore.core.model.waiter import Timer, Waiter
from factstore.core.state.pending_waiters import Outcome, PendingWaiters
from factstore.core.state.state import State
from tests.unit.core.factories import SCOPE, fact, stack
from tests.unit.core.records import member, signal, waiter

COUNT_TWO = {"facts": "n/*", "present": True, "count": 2}
TIMER = RecordKey(Timer, "w")


class History:
    """A state that is changed revision by revision."""

    def __init__(self) -> None:
        self.state = State()
        self.then(PutStack(stack()))

    def then(self, *mutations: Mutation) -> int:
        revision = self.state.revision + 1
        self.state.apply(Step(revision, mutations))
        return revision

    def put(self, path: str, value: object = 1) -> int:
        return self.then(PutFact("s1", fact(path, value, self.state.revision + 1)))

    def arm(self, armed: Waiter, *more: Mutation) -> Waiter:
        stored = replace(armed, revision=self.state.revision + 1)
        timer = Timer(armed.name, revision=stored.revision, lease=armed.timer)
        self.then(PutRecord("s1", stored), PutRecord("s1", timer), *more)
        return stored

    def time_is_over(self) -> int:
        return self.then(DropRecord("s1", TIMER))

    @property
    def pending_waiters(self) -> PendingWaiters:
        stack_state = self.state.stack_state(SCOPE)
        assert stack_state is not None
        return stack_state.pending_waiters

    def verdict(self, name: str = "w") -> Outcome | None:
        return self.pending_waiters.outcomes.get(name)

    def result(self, name: str = "w") -> tuple[str, int] | None:
        verdict = self.verdict(name)
        return (verdict.state, verdict.revision) if verdict else None


def test_the_first_revision_that_meets_the_condition_decides() -> None:
    it = History()
    it.arm(waiter("w", 0, COUNT_TWO))
    it.put("n/1")
    assert it.result() is None
    met = it.put("n/2")
    assert it.result() == ("met", met)
    it.then(DropFact("s1", "n/2"))
    it.time_is_over()
    assert it.result() == ("met", met)


def test_a_condition_that_is_met_when_armed_decides_at_once() -> None:
    it = History()
    it.put("n/1")
    it.put("n/2")
    armed = it.arm(waiter("w", 0, COUNT_TWO))
    assert it.result() == ("met", armed.revision)


def test_a_condition_that_is_met_only_within_a_revision_does_not_count() -> None:
    it = History()
    it.arm(waiter("w", 0, COUNT_TWO))
    it.put("n/1")
    at = it.state.revision + 1
    it.then(PutFact("s1", fact("n/2", 1, at)), DropFact("s1", "n/1"))
    assert it.result() is None


def test_failure_precedes_success_and_both_precede_the_timeout() -> None:
    for facts, state in (
        (["n/1", "n/2", "bad"], "failed"),
        (["n/1", "n/2"], "met"),
        (["n/1"], "timed_out"),
    ):
        it = History()
        it.arm(waiter("w", 0, COUNT_TWO, failure={"facts": "bad", "present": True}))
        at = it.state.revision + 1
        changes = [PutFact("s1", fact(path, 1, at)) for path in facts]
        it.then(DropRecord("s1", TIMER), *changes)
        assert it.result() == (state, at)


def test_the_reason_of_a_timeout_names_the_missing_parts() -> None:
    it = History()
    it.arm(waiter("w", 0, COUNT_TWO))
    it.time_is_over()
    verdict = it.verdict()
    assert verdict is not None
    assert "0 of 2" in verdict.reason
    assert "n/*" in verdict.reason
    assert verdict.progress.needed == 2


def test_arming_again_starts_over() -> None:
    it = History()
    it.put("n/1")
    it.arm(waiter("w", 0, {"facts": "n/*", "present": True}))
    assert it.result() is not None
    it.arm(waiter("w", 0, COUNT_TWO))
    assert it.result() is None
    at = it.put("n/2")
    assert it.result() == ("met", at)


def test_signals_from_before_the_arming_do_not_count() -> None:
    it = History()
    it.arm(waiter("w", 0, {"signals": 2}))
    given = signal("w", "a", it.state.revision + 1)
    it.then(PutRecord("s1", given))
    it.arm(waiter("w", 0, {"signals": 1}), DropRecord("s1", given.record_key))
    assert it.result() is None
    at = it.then(PutRecord("s1", signal("w", "b", it.state.revision + 1)))
    assert it.result() == ("met", at)


def test_a_signal_counts_for_its_waiter_only() -> None:
    it = History()
    it.arm(waiter("w", 0, {"signals": 1}))
    it.arm(waiter("v", 0, {"signals": 1}))
    it.then(PutRecord("s1", signal("v", "a", it.state.revision + 1)))
    assert (it.result("w"), it.result("v")) == (None, ("met", it.state.revision))


def test_a_terminal_or_deleted_waiter_is_not_evaluated() -> None:
    it = History()
    armed = it.arm(waiter("w", 0, COUNT_TWO))
    it.then(PutRecord("s1", replace(armed, state="met", revision=9)), DropRecord("s1", TIMER))
    assert (it.result(), it.pending_waiters.tracker("w"), it.pending_waiters.conditions.used()) == (
        None,
        None,
        {},
    )
    it.arm(waiter("w", 0, COUNT_TWO))
    it.then(DropRecord("s1", RecordKey(Waiter, "w")), DropRecord("s1", TIMER))
    assert (it.result(), it.pending_waiters.tracker("w"), it.pending_waiters.conditions.used()) == (
        None,
        None,
        {},
    )


def test_only_progress_beyond_the_best_extends_the_timeout() -> None:
    it = History()
    it.put("n/0")
    success = {"facts": "n/*", "present": True, "count": 9}
    it.arm(waiter("w", 0, success, extend_on_progress=True))
    it.arm(waiter("v", 0, success))
    assert it.pending_waiters.advanced == {}, "what was there before is no progress"
    it.put("n/1")
    assert list(it.pending_waiters.advanced) == ["w"]
    it.pending_waiters.advanced.clear()
    it.then(DropFact("s1", "n/1"))
    it.put("n/2")
    assert it.pending_waiters.advanced == {}
    it.put("n/3")
    assert list(it.pending_waiters.advanced) == ["w"]


def test_a_loaded_state_finds_the_same_outcome() -> None:
    it = History()
    it.put("n/1")
    it.arm(waiter("w", 0, COUNT_TWO))
    it.arm(waiter("v", 0, {"signals": 1}))
    it.arm(waiter("u", 0, {"every_member": {"fact": "x", "present": True}}))
    it.then(PutRecord("s1", member("c1", it.state.revision + 1)))
    it.put("n/2")
    it.then(DropRecord("s1", RecordKey(Timer, "v")))
    loaded = State(it.state.revision)
    loaded.load(it.state.mutations())
    stack_state = loaded.stack_state(SCOPE)
    assert stack_state is not None
    found = {name: verdict.state for name, verdict in stack_state.pending_waiters.outcomes.items()}
    assert found == {"w": "met", "v": "timed_out"}
    assert stack_state.needs_write
    tracker = stack_state.pending_waiters.tracker("u")
    assert tracker is not None
    assert tracker.progress().missing == ("c1",)
