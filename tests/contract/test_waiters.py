"""Waiters: their outcomes, each of which every worker delivers as exactly one event."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest

from factstore.core.errors import CursorExpired, Forbidden, NotFound, PreconditionFailed
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.member import JoinRequest
from factstore.core.model.waiter import Signal, Timer
from tests.contract.waiting import (
    HERE,
    arm,
    counts,
    decided,
    progress,
    same_everywhere,
    signal,
    state_of,
    waiter_events,
)
from tests.contract.world import CLOCK, Worker, World, author
from tests.eventually import eventually


@pytest.fixture
def workers(world: World) -> list[Worker]:
    return [world.worker(), world.worker()]


def join(worker: Worker, scope: Scope, name: str, **more: object) -> None:
    worker.members.join(scope, name, JoinRequest.of("compute", **more), author())  # type: ignore[arg-type]


# Arming


def test_an_equal_definition_leaves_a_pending_waiter_unchanged(
    worker: Worker, scope: Scope
) -> None:
    first, outcome, armed = arm(worker, scope)
    assert (outcome, first.waiter.state) == ("created", "pending")
    assert first.waiter.revision == armed.revision
    same, outcome, _ = arm(worker, scope, failure=None, timeout=3600)  # the defaults, written out
    assert (outcome, same.waiter) == ("unchanged", first.waiter)
    worker.put(scope, "other")
    # Its revision does not change either.
    assert worker.waiters.get(scope, "w").waiter == first.waiter


def test_another_definition_arms_a_pending_waiter_again(worker: Worker, scope: Scope) -> None:
    arm(worker, scope)
    other, outcome, armed = arm(worker, scope, timeout=60)
    assert (outcome, other.waiter.revision, other.waiter.timeout) == ("armed", armed.revision, 60)
    assert waiter_events(worker, scope, other.waiter.revision) == []


def test_conditions_that_two_workers_set_together_do_not_exceed_their_bound(
    world: World, worker: Worker, scope: Scope
) -> None:
    workers = (worker, world.worker())
    worker.put(scope, "other")
    together = Barrier(8)

    def write(at: int) -> str:
        conditions = [{"facts": "a/*", "match": f"*{at}.{n}*"} for n in range(16)]
        condition, chosen = {"any": conditions}, workers[at // 2 % 2]
        together.wait(60)
        try:
            if at % 2:
                definition = AlarmDefinition.of({"condition": condition})
                alarms = chosen.services.alarms
                return alarms.put(scope, f"a{at}", definition, author(), create_only=False)[1]
            return arm(chosen, scope, f"w{at}", success=condition)[1]
        except Forbidden as error:
            return error.code

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(write, range(8))) == ["created", *["quota_exceeded"] * 7]


def test_an_equal_definition_arms_a_terminal_waiter_again(worker: Worker, scope: Scope) -> None:
    arm(worker, scope)
    put = worker.put(scope, "a")
    met = decided(worker, scope)
    assert (met.state, met.decided_revision) == ("met", put.revision)
    worker.delete(scope, "a")
    again, outcome, _ = arm(worker, scope)
    assert (outcome, again.waiter.state, again.waiter.decided_revision) == ("armed", "pending", 0)
    assert state_of(worker, scope) == "pending"


@pytest.mark.parametrize("met", [False, True], ids=["pending", "met"])
def test_a_create_only_request_never_arms_an_existing_waiter(
    worker: Worker, scope: Scope, met: bool
) -> None:
    arm(worker, scope, create_only=True)
    if met:
        worker.put(scope, "a")
        decided(worker, scope)
    known = worker.waiters.get(scope, "w")
    for more in ({}, {"timeout": 60}):
        with pytest.raises(PreconditionFailed):
            arm(worker, scope, create_only=True, **more)
    assert worker.waiters.get(scope, "w") == known


def test_a_waiter_whose_condition_holds_already_is_met(workers: list[Worker], scope: Scope) -> None:
    before = workers[0].put(scope, "a").revision
    _, _, armed = arm(workers[0], scope)
    met = decided(workers[1], scope)
    assert (met.state, met.decided_revision) == ("met", armed.revision)
    assert same_everywhere(workers, scope, before) == [("w", "waiter.met")]


def test_arming_again_drops_earlier_signals(worker: Worker, scope: Scope) -> None:
    arm(worker, scope, success={"signals": 2})
    signal(worker, scope, id="one")
    assert progress(worker, scope) == (1, 2)
    arm(worker, scope, success={"signals": 2}, timeout=60)
    assert progress(worker, scope) == (0, 2)
    assert worker.waiters.get(scope, "w").signals == ()
    signal(worker, scope, id="one")
    signal(worker, scope, id="two")
    assert decided(worker, scope).state == "met"


def test_the_timer_of_an_earlier_arming_does_not_end_the_present_one(
    workers: list[Worker], scope: Scope
) -> None:
    arm(workers[0], scope, timeout=1)
    arm(workers[0], scope, timeout=60)
    arm(workers[1], scope, "short", timeout=2)  # ends later than the first would have
    assert decided(workers[0], scope, "short").state == "timed_out"
    assert state_of(workers[1], scope) == "pending"


def test_a_waiter_is_deleted_with_its_signals_and_its_timer(
    workers: list[Worker], scope: Scope
) -> None:
    arm(workers[0], scope, success={"signals": 2}, timeout=1)
    arm(workers[0], scope, "other", timeout=2)
    signal(workers[0], scope)
    before = workers[0].waiters.delete(scope, "w", author()).revision
    for worker in workers:
        with pytest.raises(NotFound):
            worker.waiters.get(scope, "w")
        state = worker.store.state()
        assert [timer.waiter for timer in state.records(scope, Timer)] == ["other"]
        assert state.records(scope, Signal) == []
    with pytest.raises(NotFound):
        workers[1].waiters.delete(scope, "w", author())
    with pytest.raises(NotFound):
        signal(workers[1], scope)
    decided(workers[1], scope, "other")
    assert same_everywhere(workers, scope, before) == [("other", "waiter.timed_out")]
    usage = workers[0].stacks.get(scope).usage
    assert usage.facts == 1


def test_pages_of_waiters_show_one_revision(worker: Worker, scope: Scope) -> None:
    for n in range(5):
        arm(worker, scope, f"w{n}")
    first = worker.waiters.list(scope, limit=2)
    assert ([w.name for w in first.items], first.marker) == (["w0", "w1"], "w1")
    worker.waiters.delete(scope, "w3", author())
    rest = worker.waiters.list(scope, limit=9, marker="w1", at=first.cursor)
    assert ([w.name for w in rest.items], rest.marker) == (["w2", "w3", "w4"], None)
    assert [w.name for w in worker.waiters.list(scope, limit=9).items] == ["w0", "w1", "w2", "w4"]
    with pytest.raises(CursorExpired):
        worker.waiters.list(scope, limit=2, at=first.cursor._replace(revision=0))
    with pytest.raises(NotFound):
        worker.waiters.list(scope._replace(stack="other"), limit=2)


# Outcomes


def test_each_outcome_is_one_event_at_all_workers(workers: list[Worker], scope: Scope) -> None:
    one, two = workers
    start = one.put(scope, "start").revision
    bad = {"facts": "bad", "present": True}
    arm(one, scope, "meets", failure=bad)
    arm(two, scope, "fails", success={"facts": "never", "present": True}, failure=bad)
    arm(one, scope, "ends", success={"facts": "never", "present": True}, timeout=1)
    two.put(scope, "a")
    decided(one, scope, "meets")
    two.put(scope, "bad")
    decided(two, scope, "fails")
    decided(one, scope, "ends")
    assert sorted(same_everywhere(workers, scope, start)) == [
        ("ends", "waiter.timed_out"),
        ("fails", "waiter.failed"),
        ("meets", "waiter.met"),
    ]


def test_twenty_concurrent_waiters_end_once_each_while_facts_change(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    rounds, names = 4, [f"w{n}" for n in range(20)]
    start = workers[0].put(scope, "start").revision
    flying = itertools.count()

    def write_facts(worker: Worker) -> None:
        for _ in range(150):
            n = next(flying)
            worker.put(scope, f"f{n % 7}", n)
            if n % 3 == 0:
                with suppress(NotFound):
                    worker.delete(scope, f"f{(n + 1) % 7}")

    def run_member(n: int) -> list[str]:
        here, there = workers[n % 2], workers[1 - n % 2]
        success = {"facts": f"f{n % 7}", "present": True}
        if n % 5 == 0:
            success = {"signals": 1}
        ends = []
        for turn in range(rounds):
            arm(here, scope, names[n], success=success)
            if n % 5 == 0:
                signal(there, scope, names[n], id=str(turn))
            ends.append(decided(there, scope, names[n], within=60).state)
        return ends

    writing = [threads.submit(write_facts, worker) for worker in workers]
    ends = list(threads.map(run_member, range(len(names))))
    for done in writing:
        done.result(60)
    assert ends == [["met"] * rounds] * len(names)
    same_everywhere(workers, scope, start)
    assert counts(workers[1], scope, start) == dict.fromkeys(names, rounds)


def test_failure_precedes_success_in_the_same_revision(workers: list[Worker], scope: Scope) -> None:
    arm(workers[0], scope, failure={"facts": "bad", "present": True})
    requests = [Put.of("a", 1), Put.of("bad", 1)]
    done = workers[1].facts.batch(scope, requests, [], author())
    failed = decided(workers[0], scope)
    assert (failed.state, failed.decided_revision) == ("failed", done.revision)


def test_a_condition_that_held_for_one_revision_is_met(workers: list[Worker], scope: Scope) -> None:
    _, _, armed = arm(workers[0], scope, success={"facts": "a", "equals": "go"})
    for turn in range(20):
        right = workers[1].put(scope, "a", "go").revision
        workers[1].put(scope, "a", "stop")
        met = decided(workers[0], scope)
        assert (met.state, met.decided_revision) == ("met", right), turn
        arm(workers[0], scope, success={"facts": "a", "equals": "go"})
    assert counts(workers[0], scope, armed.revision) == {"w": 20}


def test_a_waiter_armed_while_a_fact_is_put_is_met_in_either_order(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    start = workers[0].put(scope, "start").revision
    for n in range(30):
        success = {"facts": f"f{n}", "present": True}
        arming = threads.submit(arm, workers[n % 2], scope, f"w{n}", success)
        workers[n // 2 % 2].put(scope, f"f{n}")
        arming.result(60)
    for n in range(30):
        assert decided(workers[1], scope, f"w{n}").state == "met"
    assert counts(workers[0], scope, start) == {f"w{n}": 1 for n in range(30)}


def test_a_condition_on_every_member_counts_new_members_and_not_departed_ones(
    workers: list[Worker], scope: Scope
) -> None:
    here, there = workers
    every = {"group": "compute", "fact": "ok", "present": True, "at_least": 2}
    for name in ("c1", "c2", "c3"):
        join(here, scope, name)
    join(here, scope, "c4", ttl=5)
    here.put(scope, "nodes/c1/ok")
    arm(there, scope, success={"every_member": every})
    assert progress(here, scope) == (1, 4)
    join(there, scope, "c5")
    assert progress(here, scope) == (1, 5)
    there.members.depart(scope, "c5", "left", None, author())
    here.members.depart(scope, "c3", "left", None, author())
    assert progress(there, scope) == (1, 3)
    eventually(lambda: progress(there, scope) == (1, 2))  # c4 is silent
    assert state_of(here, scope) == "pending"
    here.put(scope, "nodes/c2/ok")
    assert decided(there, scope).state == "met"


def test_a_converged_waiter_is_met_once_when_the_last_member_has_applied(
    workers: list[Worker], scope: Scope
) -> None:
    here, there = workers
    start = here.put(scope, "a").revision
    for name in ("c1", "c2"):
        join(here, scope, name)
    arm(here, scope, success={"converged": {"group": "compute"}})
    target = here.convergence.get(scope).target
    here.members.heartbeat(scope, "c1", None, target)
    assert progress(there, scope) == (1, 2)
    there.members.heartbeat(scope, "c2", None, target)
    assert decided(here, scope).state == "met"
    for name in ("c1", "c2"):
        here.members.heartbeat(scope, name, None, target)
    here.put(scope, "b")
    assert same_everywhere(workers, scope, start) == [("w", "waiter.met")]


# Time


def test_a_waiter_times_out_at_one_revision_on_both_workers_and_never_early(
    workers: list[Worker], scope: Scope
) -> None:
    began = CLOCK.monotonic()
    _, _, armed = arm(workers[0], scope, timeout=1)
    ends = [decided(worker, scope) for worker in workers]
    assert CLOCK.monotonic() - began >= 1
    assert ends[0] == ends[1]
    assert (ends[0].state, ends[0].timer) == ("timed_out", 0)
    assert ends[0].decided_revision > armed.revision
    assert same_everywhere(workers, scope, armed.revision) == [("w", "waiter.timed_out")]


def test_progress_restarts_the_timeout_on_request(workers: list[Worker], scope: Scope) -> None:
    three = {"facts": "n/*", "present": True, "count": 9}
    begin = {"success": three, "timeout": 3}
    arm(workers[0], scope, "plain", **begin)  # type: ignore[arg-type]
    arm(workers[0], scope, "extends", extend_on_progress=True, **begin)  # type: ignore[arg-type]
    began, made = CLOCK.monotonic(), [CLOCK.monotonic()]

    def plain_is_over() -> bool:
        if CLOCK.monotonic() - began > len(made):  # once a second
            made.append(CLOCK.monotonic())
            workers[1].put(scope, f"n/{len(made)}")
        return state_of(workers[0], scope, "plain") != "pending"

    eventually(plain_is_over)
    assert state_of(workers[0], scope, "plain") == "timed_out"
    extends = state_of(workers[0], scope, "extends")
    # If this process stood still, two of its facts may be 3 seconds apart.
    pauses = (after - before for before, after in itertools.pairwise([*made, CLOCK.monotonic()]))
    assert extends == "pending" or max(pauses) > 1.5
    assert decided(workers[1], scope, "extends").state == "timed_out"  # in the end


# Waiting


def test_a_wait_ends_when_the_waiter_is_created_progresses_and_ends(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    here, there = workers
    two = {"facts": "n/*", "present": True, "count": 2}
    here.put(scope, "start")
    reading = here.waiting(threads, here.waiters.get, scope, "w", wait=100)
    arm(there, scope, success=two)
    assert reading.result(60).progress.satisfied == 0
    reading = here.waiting(threads, here.waiters.get, scope, "w", wait=100)
    there.put(scope, "n/1")
    assert reading.result(60).progress.satisfied == 1
    reading = here.waiting(threads, here.waiters.get, scope, "w", wait=100)
    there.put(scope, "n/2")
    met = reading.result(60)
    assert met.progress.satisfied == 2
    decided(here, scope)
    assert here.waiters.get(scope, "w", wait=100).waiter.state == "met"  # at once
    reading = here.waiting(
        threads, here.waiters.get, scope, "w", wait=100, unless=lambda shown: True
    )
    there.waiters.delete(scope, "w", author())
    with pytest.raises(NotFound):
        reading.result(60)


# Facts and arming in all orders


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["arm", "a", "b", "drop b"])), ids=str
)
def test_the_outcome_does_not_depend_on_the_order_of_arming_and_facts(
    workers: list[Worker], scope: Scope, order: tuple[str, ...]
) -> None:
    both = {"all": [HERE, {"facts": "b", "present": True}]}
    start = workers[0].put(scope, "start").revision
    held, expected = set(), False
    armed = False
    for n, action in enumerate(order):
        worker = workers[n % 2]
        match action:
            case "arm":
                arm(worker, scope, success=both)
                armed = True
            case "drop b":
                worker.facts.batch(
                    scope, [Delete("b")] if "b" in held else [Put.of("x", n)], [], author()
                )
                held.discard("b")
            case _:
                worker.put(scope, action)
                held.add(action)
        expected = expected or (armed and held >= {"a", "b"})
    if expected:
        assert decided(workers[0], scope).state == "met"
    assert state_of(workers[1], scope) == ("met" if expected else "pending")
    assert len(same_everywhere(workers, scope, start)) == expected
