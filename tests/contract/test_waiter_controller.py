"""The waiter controllers: every worker tries to store an outcome, and exactly one succeeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from factstore.core.errors import OutcomeUnknown, StorageFull, Unavailable
from factstore.core.model.fact import Scope
from factstore.core.model.record import RecordKey
from factstore.core.model.waiter import Timer, Waiter
from factstore.core.operations.waiters import EndWaiter
from factstore.core.ports import Transaction
from tests.contract.waiting import arm, decided, same_everywhere, signal, state_of, waiter_events
from tests.contract.world import Worker, World, new_scope
from tests.eventually import eventually


@contextmanager
def stopped_controllers(*workers: Worker) -> Iterator[None]:
    """Stop the waiter controllers of some workers for a while."""
    for worker in workers:
        worker.waiter_controller.stop()
    yield
    for worker in workers:
        restart(worker)


def restart(worker: Worker) -> None:
    worker.waiter_controller.start()
    worker.waiter_controller.wake()


def test_a_worker_that_starts_later_writes_overdue_outcomes(world: World, scope: Scope) -> None:
    early = world.worker()
    start = early.put(scope, "start").revision
    with stopped_controllers(early):
        arm(early, scope, "met")
        arm(early, scope, "signalled", success={"signals": 1})
        arm(early, scope, "over", success={"signals": 1}, timeout=1)
        early.put(scope, "a")
        signal(early, scope, "signalled", status="FAILURE", reason="so it is")
        eventually(lambda: not early.store.state().record(scope, RecordKey(Timer, "over")))
        late = world.worker()
        ends = {name: decided(late, scope, name) for name in ("met", "signalled", "over")}
        assert {name: end.state for name, end in ends.items()} == {
            "met": "met",
            "signalled": "failed",
            "over": "timed_out",
        }
        assert str(ends["signalled"].reason).endswith(" failed: so it is")
    assert len(same_everywhere([early, late], scope, start)) == 3


class Failing:
    """A store whose writes of waiters raise the given errors in order."""

    def __init__(self, worker: Worker, *failures: Exception, after_writing: bool = False) -> None:
        self._commit = worker.store.commit
        self._failures = list(failures)
        self._after_writing = after_writing
        worker.store.commit = self.commit  # type: ignore[method-assign]

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        if not any(isinstance(record, Waiter) for record in commit.records):
            return self._commit(commit, deadline)
        if self._failures and not self._after_writing:
            raise self._failures.pop(0)
        revision = self._commit(commit, deadline)
        if self._failures:
            raise self._failures.pop(0)
        return revision

    @property
    def left(self) -> int:
        return len(self._failures)


@pytest.mark.parametrize("written", [False, True], ids=["not written", "written"])
def test_a_waiter_controller_survives_store_failures(
    worker: Worker, scope: Scope, written: bool
) -> None:
    _, _, armed = arm(worker, scope)
    arm(worker, scope, "second", success={"facts": "a", "equals": 1})
    failing = Failing(
        worker,
        Unavailable("no"),
        OutcomeUnknown("who knows"),
        *([] if written else [StorageFull("no"), RuntimeError("a bug")]),
        after_writing=written,
    )
    worker.put(scope, "a")
    assert decided(worker, scope, within=60).state == "met"
    assert decided(worker, scope, "second", within=60).state == "met"
    eventually(lambda: failing.left == 0)
    assert worker.waiter_controller.alive
    assert sorted(waiter_events(worker, scope, armed.revision)) == [
        ("second", "waiter.met"),
        ("w", "waiter.met"),
    ]


def test_a_stack_whose_writes_fail_holds_up_no_other_stack(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = [new_scope() for _ in range(5)]
    commit = worker.store.commit
    attempts: Counter[str] = Counter()

    def refuse(transaction: Transaction, deadline: float) -> int | None:
        name = transaction.stack.name
        if name != scope.stack and any(isinstance(each, Waiter) for each in transaction.records):
            attempts[name] += 1
            raise Unavailable("no", code="contention")
        return commit(transaction, deadline)

    with stopped_controllers(worker):
        for each in (*failing, scope):
            arm(worker, each)
            worker.put(each, "a")
        monkeypatch.setattr(worker.store, "commit", refuse)
    assert decided(worker, scope, within=60).state == "met"
    eventually(lambda: attempts.keys() == {each.stack for each in failing})
    monkeypatch.undo()
    for each in failing:
        assert decided(worker, each, within=60).state == "met"


def test_an_outcome_is_written_although_its_condition_no_longer_holds(
    world: World, scope: Scope
) -> None:
    workers = [world.worker(), world.worker()]
    arm(workers[0], scope)
    with stopped_controllers(*workers):
        put = workers[0].put(scope, "a")
        workers[1].delete(scope, "a")
        workers[1].put(scope, "a", "again")
        workers[1].delete(scope, "a")
        assert state_of(workers[0], scope) == "pending"
    met = decided(workers[0], scope)
    assert (met.state, met.decided_revision) == ("met", put.revision)


def test_an_outcome_of_an_earlier_arming_is_not_stored(world: World, scope: Scope) -> None:
    workers = [world.worker(), world.worker()]
    start = workers[0].put(scope, "start").revision
    arm(workers[0], scope)
    with stopped_controllers(*workers):
        workers[0].put(scope, "a")
        stale = workers[0].store.state().stacks_needing_write()[0].pending_waiters.outcomes["w"]
        workers[0].delete(scope, "a")
        arm(workers[1], scope, timeout=60)
        assert not workers[0].transactor.run(EndWaiter(scope, stale)).outcome
    assert state_of(workers[0], scope) == "pending"
    assert same_everywhere(workers, scope, start) == []
