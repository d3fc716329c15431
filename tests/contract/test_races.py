"""Races between two workers on one real etcd."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier

import pytest

from factstore.core.errors import Conflict, FactstoreError, NotFound, PreconditionFailed
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.path import covers
from factstore.core.model.precondition import ABSENT, Precondition
from factstore.core.services.watch_filter import Filter
from tests.contract.world import EtcdWorld, Worker, author, soon

ROUNDS = 200


@pytest.fixture
def workers(etcd_world: EtcdWorld) -> list[Worker]:
    return [etcd_world.worker(), etcd_world.worker()]


def outcome(worker: Worker, scope: Scope, path: str, value: object = 1) -> str:
    try:
        return worker.put(scope, path, value).results[0].outcome
    except FactstoreError as error:
        return error.code


def race(threads: ThreadPoolExecutor, *writes: object) -> list[str]:
    """Let all writes begin at the same moment."""
    together = Barrier(len(writes))

    def run(write: object) -> str:
        together.wait(60)
        return write()  # type: ignore[operator, no-any-return]

    return [done.result(60) for done in [threads.submit(run, write) for write in writes]]


@pytest.mark.parametrize("shared", [False, True])
def test_a_path_and_one_below_it_never_both_become_facts(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor, shared: bool
) -> None:
    """Through two workers, and through one, which may send both writes together."""
    above, below = workers if not shared else (workers[0], workers[0])
    above.put(scope, "start")
    for n in range(ROUNDS // 2):
        x = f"r{n}/x"
        outcomes = race(
            threads,
            lambda x=x: outcome(above, scope, x),
            lambda x=x: outcome(below, scope, f"{x}/y"),
        )
        assert outcomes in (["created", "path_below_fact"], ["path_is_folder", "created"]), outcomes
    facts = workers[1].paths(scope)
    assert len(facts) == ROUNDS // 2 + 1
    assert not [(a, b) for a, b in pairwise(facts) if covers(a, b)]


def test_only_one_of_two_batches_that_conflict_in_the_tree_succeeds(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    workers[0].put(scope, "start")

    def batch(worker: Worker, requests: list[Put | Delete]) -> str:
        try:
            worker.facts.batch(scope, requests, [], author())
        except FactstoreError as error:
            return error.code
        return "done"

    for n in range(30):
        one = [Put.of(f"b{n}/x", 1), Put.of(f"c{n}/y/z", 1)]
        two = [Put.of(f"b{n}/x/deep", 1), Put.of(f"c{n}/y", 1)]
        outcomes = race(
            threads,
            lambda one=one: batch(workers[0], one),
            lambda two=two: batch(workers[1], two),
        )
        assert sorted(outcomes)[0] == "done"
        assert outcomes.count("done") == 1, outcomes
        assert set(outcomes) <= {"done", "path_below_fact", "path_is_folder"}
        below = [p for p in workers[0].paths(scope) if covers(f"b{n}", p) or covers(f"c{n}", p)]
        assert len(below) == 2


def test_a_fact_that_becomes_a_folder_stays_one_under_a_race(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    for n in range(30):
        x = f"x{n}"
        workers[n % 2].put(scope, x)
        requests = [Delete(x), Put.of(f"{x}/y", 1)]
        outcomes = race(
            threads,
            lambda w=requests: str(workers[0].facts.batch(scope, w, [], author()).revision > 0),
            lambda x=x: outcome(workers[1], scope, x, "other"),
        )
        assert outcomes[0] == "True"
        assert outcomes[1] in ("updated", "path_is_folder")
        assert [p for p in workers[0].paths(scope) if covers(x, p)] == [f"{x}/y"]


def test_eight_clients_with_an_equal_value_make_one_revision(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    start = workers[0].cursor(workers[0].put(scope, "start").revision)
    for n in range(20):
        outcomes = race(
            threads, *(lambda w=w, n=n: outcome(w, scope, f"p{n}", n) for w in workers * 4)
        )
        assert sorted(outcomes) == ["created"] + ["unchanged"] * 7
    outcomes = race(threads, *(lambda w=w: outcome(w, scope, "p0", True) for w in workers * 4))
    assert sorted(outcomes) == ["unchanged"] * 7 + ["updated"]
    last = workers[0].put(scope, "end").revision
    changed: list[str | None] = []
    while start.revision < last:
        answer = workers[1].watch.poll(scope, start, 10, Filter())
        changed += [c.path for event in answer.events for c in event.changes]
        start = answer.next
    assert changed == [*(f"p{n}" for n in range(20)), "p0", "end"]


def test_only_one_of_many_concurrent_creations_succeeds(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    def create(worker: Worker, n: int, value: int) -> str:
        try:
            worker.put(scope, f"p{n}", value, ABSENT)
        except PreconditionFailed:
            return "lost"
        return "won"

    for n in range(20):
        outcomes = race(
            threads,
            *(lambda v=v, w=w, n=n: create(w, n, v) for v, w in enumerate(workers * 4)),
        )
        assert outcomes.count("won") == 1
        assert workers[0].value(scope, f"p{n}") == str(outcomes.index("won"))
        assert workers[1].facts.get(scope, f"p{n}").fact.version == 1


def test_no_increment_by_compare_and_set_is_lost(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    workers[0].put(scope, "counter", 0)

    def increment(worker: Worker) -> str:
        for _ in range(10):
            while True:
                fact = worker.facts.get(scope, "counter").fact
                known = Precondition(tags=frozenset({fact.etag(worker.store.state().epoch)}))
                try:
                    worker.put(scope, "counter", json.loads(fact.text) + 1, known)
                except PreconditionFailed:
                    continue
                break
        return "done"

    race(threads, *(lambda w=w: increment(w) for w in workers * 2))
    assert workers[0].value(scope, "counter") == "40"
    assert workers[0].facts.get(scope, "counter").fact.version == 41


def test_concurrent_first_writers_share_one_new_stack(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    for n in range(10):
        fresh = Scope(scope.project_id, f"{scope.stack}-{n}")
        outcomes = race(
            threads,
            *(lambda w=w, m=m, s=fresh: outcome(w, s, f"p{m}") for m, w in enumerate(workers * 3)),
        )
        assert outcomes == ["created"] * 6
        assert workers[0].paths(fresh) == [f"p{m}" for m in range(6)]


def test_deleting_a_stack_during_writes_leaves_no_key(
    etcd_world: EtcdWorld, workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    for n in range(10):
        workers[0].put(scope, "first", n)
        stack = workers[0].stacks.get(scope).stack
        cursor = workers[1].cursor(stack.created)

        def write(worker: Worker, name: str) -> str:
            """Write until a put creates a new stack, which shows that the deletion was noticed."""
            for m in range(200):
                requests = [Put.of(f"{name}/{m}", m)]
                try:
                    worker.facts.write(scope, requests, [], author(), None, create=False)
                except NotFound:
                    return str(m)
            return "never"

        def delete() -> str:
            workers[1].stacks.delete(scope, author())
            return "deleted"

        outcomes = race(
            threads,
            *(lambda w=w, m=m: write(w, f"w{m}") for m, w in enumerate(workers * 2)),
            delete,
        )
        assert outcomes.pop() == "deleted"
        workers[0].backend.purge_deleted(soon())
        assert etcd_world.leftovers(stack) == 0
        with pytest.raises(NotFound):
            workers[0].stacks.get(scope)
        workers[0].put(scope, "again")
        told_events = workers[1].watch.poll(scope, cursor, 10, Filter())
        kinds = [c.type for e in told_events.events for c in e.changes]
        end = kinds.index("stack.delete")
        assert kinds[:end] == ["fact.put"] * (sum(map(int, outcomes)))
        workers[1].stacks.delete(scope, author())


def test_an_acknowledged_write_is_read_by_every_worker(
    workers: list[Worker], scope: Scope, threads: ThreadPoolExecutor
) -> None:
    one, other = workers
    for n in range(100):
        one.put(scope, "p", n)
        assert other.value(scope, "p") == str(n)
        assert other.facts.get(scope, "p", stale=False).fact.version == n + 1
        one, other = other, one

    def follow_own_writes(worker: Worker, name: str) -> str:
        for n in range(40):
            worker.put(scope, name, n)
            assert workers[n % 2].value(scope, name) == str(n)
            if n % 10 == 9:
                worker.delete(scope, name)
                with pytest.raises(NotFound):
                    workers[n % 2].facts.get(scope, name)
        return "done"

    race(
        threads,
        *(lambda w=w, n=n: follow_own_writes(w, f"own{n}") for n, w in enumerate(workers * 3)),
    )


def test_the_loser_of_a_race_receives_the_conflicting_path(
    workers: list[Worker], scope: Scope
) -> None:
    workers[0].put(scope, "x/y")
    with pytest.raises(Conflict) as refused:
        workers[1].put(scope, "x")
    assert refused.value.extra == {"path": "x", "conflicts_with": "x/y"}
