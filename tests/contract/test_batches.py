"""Batches and repeated requests, on every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import pytest

from factstore.core.errors import Conflict, NotFound, PreconditionFailed
from factstore.core.model.batch_plan import BatchPlan
from factstore.core.model.fact import Delete, Fact, Put, Scope
from factstore.core.model.member import JoinRequest
from factstore.core.model.precondition import ABSENT, ANY, EXISTS
from factstore.core.operations.idempotency import Idempotency
from tests.contract.waiting import arm, state_of
from tests.contract.world import Worker, World, author, events_since, soon, tagged

# Batches


def test_a_batch_is_one_revision_and_one_event(worker: Worker, scope: Scope) -> None:
    before = worker.put(scope, "old").revision
    operations = [Put.of("a", 1), Delete("old"), Put.of("b/c", 2), Delete("gone")]
    written = worker.facts.batch(scope, operations, [("old", EXISTS)], author())
    assert [r.outcome for r in written.results] == ["created", "deleted", "created", "absent"]
    assert {r.fact.revision for r in written.results if r.fact} == {written.revision}
    assert events_since(worker, scope, before) == [
        (written.revision, ["fact.put a", "fact.put b/c", "fact.delete old"])
    ]
    assert worker.paths(scope) == ["a", "b/c"]


def test_a_writer_has_its_facts_as_another_worker_loads_them(
    world: World, worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "first")
    for text in ("one", "two"):
        puts = [Put.of(f"a/b{n}", f"{text} {n}") for n in range(20)]
        worker.facts.batch(scope, [*puts, Put.of(text, 1), Put.of("t", text, ttl=60)], [], author())
        worker.put(scope, "first", text)
    worker.facts.batch(scope, [Delete("a/b3")], [], author())
    worker.facts.batch(scope, [Put.of("a/b3", "again"), Put.of("a/b4", "again")], [], author())
    other = world.worker()
    own, loaded = (each.store.refresh(soon()).contents(scope) for each in (worker, other))
    assert own is not None
    assert loaded is not None
    assert len(own.facts) == len(loaded.facts) == 24
    for mine, fact in zip(own.facts, loaded.facts, strict=True):
        for each in fields(Fact):  # also those that do not count for equality
            if each.name != "memo":
                assert getattr(mine, each.name) == getattr(fact, each.name), each.name


def test_a_batch_with_a_failed_guard_writes_nothing(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "g", 1)
    known = tagged(worker, scope, "g")
    worker.put(scope, "g", 2)
    head = worker.backend.head(soon())
    for guard in (("g", known), ("g", ABSENT), ("missing", EXISTS)):
        with pytest.raises(PreconditionFailed):
            worker.facts.batch(scope, [Put.of("a", 1)], [("g", ANY), guard], author())
    with pytest.raises(Conflict):
        worker.facts.batch(scope, [Put.of("a", 1), Put.of("g/x", 1)], [], author())
    assert worker.backend.head(soon()) == head
    assert worker.paths(scope) == ["g"]


def test_a_hundred_operations_fit_in_one_batch(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "first")
    operations = [Put.of(f"f{n}/x", n) for n in range(100)]
    written = worker.facts.batch(scope, operations, [], author())
    assert {r.outcome for r in written.results} == {"created"}
    gone = worker.facts.batch(scope, [Delete(put.path) for put in operations], [], author())
    assert {r.outcome for r in gone.results} == {"deleted"}
    assert worker.paths(scope) == ["first"]


def test_a_batch_creates_a_stack_if_it_puts_and_not_if_it_only_deletes(
    worker: Worker, scope: Scope
) -> None:
    with pytest.raises(NotFound):
        worker.facts.batch(scope, [Delete("p")], [], author())
    worker.facts.batch(scope, [Put.of("p", 1), Put.of("q/r", 1)], [], author())
    assert worker.paths(scope) == ["p", "q/r"]


# Dry runs and plans


def test_a_dry_run_writes_nothing_and_its_plan_is_then_carried_out_once(
    worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "old")
    plans, head = worker.services.batch_plans, worker.backend.head(soon())
    requests = [Put.of("new", 1), Delete("old")]
    found, cursor = plans.preview(scope, requests, [], author())
    assert [result.outcome for result in found.results] == ["created", "deleted"]
    assert (worker.backend.head(soon()), worker.paths(scope)) == (cursor.revision, ["old"])
    assert cursor.revision == head
    plan, key = BatchPlan.parse(str(found.plan)), Idempotency(f"key-{scope.stack}", "print")
    by = author()
    done = plans.apply(plan, scope, requests, [], by, key)
    assert worker.paths(scope) == ["new"]
    # The repetition gets the first answer, although the plan is outdated now.
    assert plans.apply(plan, scope, requests, [], by, key).revision == done.revision
    with pytest.raises(PreconditionFailed, match="'new' changed after the dry run"):
        plans.apply(plan, scope, requests, [], author())


def test_a_plan_is_checked_on_a_fresh_state_of_whichever_worker(
    world: World, worker: Worker, scope: Scope
) -> None:
    other = world.worker()
    requests = [Put.of("new", 1)]
    plan = worker.services.batch_plans.preview(scope, requests, [], author())[0].plan
    head = worker.backend.head(soon())
    other.put(scope, "elsewhere")
    with pytest.raises(PreconditionFailed):  # the plan was to create the stack, which exists now
        worker.services.batch_plans.apply(plan, scope, requests, [], author())
    plan = worker.services.batch_plans.preview(scope, requests, [], author())[0].plan
    joined = JoinRequest.of("compute")
    other.members.join(scope, "c1", joined, author())
    with pytest.raises(PreconditionFailed, match="wake other members"):
        worker.services.batch_plans.apply(plan, scope, requests, [], author())
    assert worker.paths(scope) == ["elsewhere"]
    assert worker.backend.head(soon()) > head


def test_of_many_that_apply_one_plan_one_succeeds(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "count", 0)
    plans, requests = worker.services.batch_plans, [Put.of("count", 1), Put.of("new", 1)]
    plan = plans.preview(scope, requests, [], author())[0].plan

    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda _: applied(worker, scope, requests, plan), range(16))
        assert sum(done) == 1


def test_of_two_plans_that_together_do_what_neither_shows_one_is_refused(
    world: World, worker: Worker, scope: Scope
) -> None:
    workers = (worker, world.worker())
    both = {"all": [{"facts": "x", "present": True}, {"facts": "y", "present": True}]}
    with ThreadPoolExecutor(2) as pool:
        for number in range(10):
            stack = Scope(scope.project_id, f"{scope.stack}-{number}")
            worker.put(stack, "other")
            arm(worker, stack, "w", both)
            plans = []
            for each, path in zip(workers, ("x", "y"), strict=True):
                requests = [Put.of(path, 1)]
                found = each.services.batch_plans.preview(stack, requests, [], author())[0]
                assert [waiter.state for waiter in found.forecast.waiters] == ["pending"]
                plans.append((each, stack, requests, found.plan))
            done = list(pool.map(lambda each: applied(*each), plans))
            assert sum(done) == 1, f"round {number}"
            assert state_of(worker, stack, "w") == "pending"


def applied(worker: Worker, scope: Scope, requests: list[Put], plan: BatchPlan) -> bool:
    """Send a batch with its plan; return False if the plan is outdated."""
    try:
        worker.services.batch_plans.apply(plan, scope, requests, [], author())
    except PreconditionFailed:
        return False
    return True


def test_a_planned_batch_that_changes_nothing_makes_no_revision(
    worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "same", 1)
    requests, plans = [Put.of("same", 1)], worker.services.batch_plans
    plan = plans.preview(scope, requests, [], author())[0].plan
    head = worker.backend.head(soon())
    plans.apply(plan, scope, requests, [], author())
    assert worker.backend.head(soon()) == head


# Idempotency


def test_a_repeated_request_gets_the_same_answer_and_changes_nothing(
    world: World, worker: Worker, scope: Scope
) -> None:
    key = Idempotency(f"key-{scope.stack}", "print")
    first = worker.put(scope, "p", 1, ABSENT, idempotency=key)
    worker.put(scope, "p", "changed since")
    other = world.worker()
    other.store.refresh(soon())  # it may write a key, so that the watch reports the head
    head = worker.backend.head(soon())
    for retrying in (worker, other):
        again = retrying.put(scope, "p", 1, ABSENT, idempotency=key)
        assert again.revision == first.revision
        assert again.results[0].outcome == "created"
        assert again.results[0].fact is not None
        assert again.results[0].fact.revision == first.revision
        assert again.results[0].fact.text == "1"
    assert worker.backend.head(soon()) == head
    assert worker.value(scope, "p") == '"changed since"'


def test_a_key_that_was_used_for_another_request_is_refused(worker: Worker, scope: Scope) -> None:
    key = f"key-{scope.stack}"
    worker.put(scope, "p", 1, idempotency=Idempotency(key, "one"))
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "p", 2, idempotency=Idempotency(key, "two"))
    assert refused.value.code == "idempotency_key_reused"
    assert worker.value(scope, "p") == "1"


def test_a_refused_request_may_be_repeated_with_its_key(worker: Worker, scope: Scope) -> None:
    key = Idempotency(f"key-{scope.stack}", "print")
    with pytest.raises(PreconditionFailed):
        worker.put(scope, "p", 1, EXISTS, idempotency=key)
    worker.put(scope, "p", 0)
    assert worker.put(scope, "p", 1, EXISTS, idempotency=key).results[0].outcome == "updated"


def test_a_deletion_and_a_batch_are_repeated_without_effect(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "p", 1)
    for name, operations in (
        ("d", [Delete("p")]),
        ("b", [Put.of("p", 1), Put.of("q", 1), Delete("gone")]),
    ):
        key = Idempotency(f"key-{name}-{scope.stack}", "print")
        first = worker.facts.batch(scope, operations, [], author(), key)
        head = worker.backend.head(soon())
        assert worker.facts.batch(scope, operations, [], author(), key) == first
        assert worker.backend.head(soon()) == head


def test_only_one_of_many_concurrent_equal_requests_is_carried_out(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    key = Idempotency(f"key-{scope.stack}", "print")
    by = author()

    def request(at: Worker) -> tuple[int, str]:
        written = at.put(scope, "p", 1, ABSENT, idempotency=key, by=by)
        return written.revision, written.results[0].outcome

    asked = [threads.submit(request, at) for at in (worker, other) * 6]
    answers = {answer.result(60) for answer in asked}
    assert len(answers) == 1
    assert worker.facts.get(scope, "p").fact.version == 1
