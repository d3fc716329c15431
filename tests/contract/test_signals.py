"""Signals to waiters."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from factstore.core.errors import Forbidden, NotFound
from factstore.core.model.fact import Scope
from factstore.core.model.waiter import SIGNALS_PER_WAITER, Signal, Waiter
from factstore.core.ports import Transaction
from tests.contract.waiting import arm, decided, progress, signal, state_of
from tests.contract.world import Worker, World, soon


@pytest.fixture
def workers(world: World) -> list[Worker]:
    return [world.worker(), world.worker()]


def ids(worker: Worker, scope: Scope) -> list[str]:
    return [each.id for each in worker.waiters.get(scope, "w").signals]


def test_an_id_counts_once_and_its_last_signal_is_kept(workers: list[Worker], scope: Scope) -> None:
    arm(workers[0], scope, success={"signals": 2})
    signal(workers[0], scope, id="one", data=1)
    signal(workers[1], scope, id="one", data={"a": [None]})
    found = workers[0].waiters.get(scope, "w")
    assert (found.progress.satisfied, found.progress.needed) == (1, 2)
    (kept,) = found.signals
    assert (kept.id, json.loads(kept.data)) == ("one", {"a": [None]})
    signal(workers[1], scope, id=2)  # Heat generates numbers as ids
    assert decided(workers[0], scope).state == "met"
    assert ids(workers[1], scope) == ["2", "one"]


def test_signals_without_an_id_each_count(worker: Worker, scope: Scope) -> None:
    arm(worker, scope, success={"signals": 3})
    made = [signal(worker, scope) for _ in range(3)]
    assert len({each.id for each in made}) == 3
    assert [each.reason for each in made] == [f"Signal {n} received" for n in (1, 2, 3)]
    assert decided(worker, scope).state == "met"


def test_an_unchanged_signal_is_not_written(workers: list[Worker], scope: Scope) -> None:
    arm(workers[0], scope, success={"signals": 2})
    for wish in ({"id": "one"}, {"id": "two", "reason": "why", "data": {"b": 1, "a": 2}}):
        first = signal(workers[0], scope, **wish)
        assert signal(workers[1], scope, **wish) == first
        workers[1].put(scope, "a", wish["id"])
        kept = {each.id: each for each in workers[0].waiters.get(scope, "w").signals}
        assert kept[first.id] == first  # and its revision with it
    assert signal(workers[1], scope, id="one", data=0).revision > first.revision


def test_a_failure_fails_with_its_reason(workers: list[Worker], scope: Scope) -> None:
    arm(workers[0], scope, success={"signals": 2})
    signal(workers[0], scope, id="good")
    sent = signal(workers[1], scope, id="bad", status="FAILURE", reason="no space left")
    failed = decided(workers[0], scope)
    assert (failed.state, failed.decided_revision) == ("failed", sent.revision)
    assert failed.reason == "signal bad failed: no space left"
    assert failed.progress is not None
    assert failed.progress.failing == ("bad",)


def test_a_waiter_that_has_ended_accepts_signals_and_does_not_change(
    workers: list[Worker], scope: Scope
) -> None:
    arm(workers[0], scope, success={"signals": 1})
    signal(workers[0], scope, id="one")
    met = decided(workers[1], scope)
    signal(workers[1], scope, id="two", status="FAILURE")
    assert workers[0].waiters.get(scope, "w").waiter == met
    assert ids(workers[0], scope) == ["one", "two"]


def test_a_signal_to_a_missing_waiter_is_refused(worker: Worker, scope: Scope) -> None:
    with pytest.raises(NotFound):
        signal(worker, scope)
    worker.put(scope, "a")
    with pytest.raises(NotFound):
        signal(worker, scope)
    assert worker.store.state().records(scope, Signal) == []


def test_fifty_concurrent_signals_are_all_counted(workers: list[Worker], scope: Scope) -> None:
    arm(workers[0], scope, success={"signals": 50})
    with ThreadPoolExecutor(50) as threads:
        sending = [
            threads.submit(signal, workers[n % 2], scope, id=f"i-{n:02}", data=n) for n in range(50)
        ]
        for sent in sending:
            sent.result(60)
    assert decided(workers[1], scope).state == "met"
    kept = workers[0].waiters.get(scope, "w").signals
    assert [(each.id, each.data) for each in kept] == [(f"i-{n:02}", str(n)) for n in range(50)]


def test_at_most_a_thousand_signals_are_kept(worker: Worker, scope: Scope) -> None:
    armed, _, _ = arm(worker, scope, success={"all": [{"signals": 1}, {"signals": 1000}]})
    fill(worker, scope, armed.waiter, SIGNALS_PER_WAITER - 1)
    assert progress(worker, scope) == (SIGNALS_PER_WAITER, SIGNALS_PER_WAITER + 1)
    signal(worker, scope, id="the last")
    with pytest.raises(Forbidden) as refusal:
        signal(worker, scope, id="one more")
    assert refusal.value.code == "quota_exceeded"
    assert refusal.value.extra["quota"] == "signals_per_waiter"
    signal(worker, scope, id="the last", data="replaced")
    assert decided(worker, scope).state == "met"
    arm(worker, scope, success={"signals": 2})  # arming again deletes all signals
    assert ids(worker, scope) == []
    assert state_of(worker, scope) == "pending"


def fill(worker: Worker, scope: Scope, waiter: Waiter, count: int) -> None:
    """Store signals in one commit, with the same result as separate requests."""
    stack = worker.store.state().stack(scope)
    assert stack is not None
    blank = Signal("w", "", "SUCCESS", "", "null", "", "alice", "req-fill")
    for start in range(0, count, 50):
        records = tuple(replace(blank, id=f"s{n}") for n in range(start, min(start + 50, count)))
        commit = Transaction(
            stack,
            waiter.revision,
            record_revisions={waiter.record_key: waiter.revision},
            records=records,
        )
        assert worker.store.commit(commit, soon()) is not None
