"""Turns on every backend: order, hand-over, the end of members, ranks, and several workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import Conflict, Forbidden, NotFound
from factstore.core.model.event import DropRecord, PutRecord
from factstore.core.model.fact import Scope
from factstore.core.model.quota import Quota
from factstore.core.model.turn import TURNS_PER_MEMBER, Rank, Turn, TurnRequest
from factstore.core.services.turns import Taken
from factstore.core.state.turn_queues import TurnQueues
from tests.contract.membership import declare, join, refusal
from tests.contract.world import Worker, World, author, events_since, soon, steps

QUEUE = "q"


def take(
    worker: Worker,
    scope: Scope,
    member: str,
    max_parallel: int = 1,
    *,
    queue: str = QUEUE,
    generation: str | None = None,
    rank: bool = False,
    wait: float = 0,
) -> Taken:
    request = TurnRequest.of(generation, max_parallel, rank=rank)
    return worker.turns.take(scope, queue, member, request, author(), wait=wait)


def give_back(worker: Worker, scope: Scope, member: str, generation: str | None = None) -> int:
    return worker.turns.give_back(scope, QUEUE, member, generation, author())


def listed(worker: Worker, scope: Scope, queue: str = QUEUE) -> list[tuple[str, bool]]:
    found = worker.turns.list(scope, queue, unless=lambda turns: False)
    return [(queued.turn.member, queued.holds) for queued in found]


@pytest.fixture
def members(worker: Worker, scope: Scope) -> list[str]:
    names = ["a", "b", "c"]
    for name in names:
        join(worker, scope, name)
    return names


def test_turns_are_held_in_the_order_of_their_creation_on_every_worker(
    world: World, worker: Worker, scope: Scope, members: list[str]
) -> None:
    for member in ("c", "a", "b"):
        take(worker, scope, member, 2)
    other = world.worker()
    for each in (worker, other):
        assert listed(each, scope) == [("c", True), ("a", True), ("b", False)]
    give_back(other, scope, "c")
    assert listed(worker, scope) == [("a", True), ("b", True)]


def test_a_repeated_request_keeps_the_turn_and_writes_nothing(
    worker: Worker, scope: Scope, members: list[str]
) -> None:
    first, _ = take(worker, scope, "a"), take(worker, scope, "b")
    head = worker.backend.head(soon())
    again = take(worker, scope, "a", 5)
    assert (first.created, again.created) == (True, False)
    assert again.queued.turn == first.queued.turn
    assert worker.backend.head(soon()) == head


def test_turns_make_no_event_and_do_not_move_the_context_or_the_target(
    worker: Worker, scope: Scope, members: list[str]
) -> None:
    before = worker.context.get(scope)
    target = worker.convergence.get(scope).target
    taken = take(worker, scope, "a", rank=True)
    give_back(worker, scope, "a")
    assert worker.context.get(scope).etag == before.etag
    assert worker.convergence.get(scope).target == target
    assert events_since(worker, scope, taken.cursor.revision - 1) == []


def test_a_request_waits_until_the_turn_is_given_back_on_another_worker(
    world: World, worker: Worker, scope: Scope, members: list[str], threads: ThreadPoolExecutor
) -> None:
    take(worker, scope, "a")
    reading = worker.waiting(threads, take, worker, scope, "b", wait=100)
    worker.put(scope, "p")  # another change of the stack
    give_back(world.worker(), scope, "a")
    taken = reading.result(60)
    assert (taken.queued.holds, taken.queued.position) == (True, 1)


def test_the_lost_lease_of_a_holder_hands_its_turn_over(
    world: World, worker: Worker, scope: Scope, members: list[str], threads: ThreadPoolExecutor
) -> None:
    held = take(worker, scope, "a")
    reading = worker.waiting(threads, take, worker, scope, "b", wait=100)
    world.backend().revoke_lease(held.queued.turn.lease, soon())
    assert reading.result(60).queued.holds
    with pytest.raises(NotFound):
        give_back(worker, scope, "a")


def test_a_departure_hands_the_turn_over_and_ends_the_members_own_request(
    worker: Worker, scope: Scope, members: list[str], threads: ThreadPoolExecutor
) -> None:
    take(worker, scope, "a")
    waiting = worker.waiting(threads, take, worker, scope, "b", wait=100)
    worker.members.depart(scope, "b", "left", None, author())
    with pytest.raises(NotFound):
        waiting.result(60)
    take(worker, scope, "c")
    worker.members.depart(scope, "a", "left", None, author())
    worker.store.refresh(soon())
    assert listed(worker, scope) == [("c", True)]


def test_a_new_incarnation_does_not_inherit_the_turn(
    worker: Worker, scope: Scope, members: list[str]
) -> None:
    old = take(worker, scope, "a")
    take(worker, scope, "b")
    joined = join(worker, scope, "a").member
    assert listed(worker, scope) == [("b", True)]
    with pytest.raises(Conflict) as error:
        take(worker, scope, "a", generation=f"{old.queued.turn.lease:x}")
    assert refusal(error) == "generation_stale"
    take(worker, scope, "a", generation=joined.generation)
    assert listed(worker, scope) == [("b", True), ("a", False)]
    with pytest.raises(Conflict) as error:
        give_back(worker, scope, "a", generation=f"{old.queued.turn.lease:x}")
    assert refusal(error) == "generation_stale"
    give_back(worker, scope, "a", generation=joined.generation)


def test_a_waiting_request_ends_with_its_stack(
    worker: Worker, scope: Scope, members: list[str], threads: ThreadPoolExecutor
) -> None:
    take(worker, scope, "a")
    waiting = worker.waiting(threads, take, worker, scope, "b", wait=100)
    worker.stacks.delete(scope, author())
    with pytest.raises(NotFound):
        waiting.result(60)


def test_only_members_that_have_joined_take_turns(worker: Worker, scope: Scope) -> None:
    with pytest.raises(NotFound):
        take(worker, scope, "a")
    declare(worker, scope, "a")
    with pytest.raises(Conflict) as error:
        take(worker, scope, "a")
    assert refusal(error) == "member_missing"
    with pytest.raises(NotFound):
        worker.turns.list(Scope(scope.project_id, "missing"), unless=lambda turns: False)


def test_a_member_has_a_limited_number_of_turns(worker: Worker, scope: Scope) -> None:
    join(worker, scope, "a")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: take(worker, scope, "a", queue=f"q{n}"), range(TURNS_PER_MEMBER)))
    with pytest.raises(Forbidden) as error:
        take(worker, scope, "a", queue="more")
    assert refusal(error) == "quota_exceeded"
    assert error.value.extra["quota"] == "turns_per_member"


def test_a_turn_counts_as_a_fact(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(facts_per_stack=2))
    join(worker, scope, "a")
    take(worker, scope, "a", rank=True)
    with pytest.raises(Forbidden):
        take(worker, scope, "a", queue="p")
    give_back(worker, scope, "a")
    take(worker, scope, "a", queue="p")


# Ranks


def rank_of(worker: Worker, scope: Scope, member: str) -> int | None:
    return take(worker, scope, member, rank=True).queued.turn.rank


def test_a_rank_is_the_lowest_free_number_and_is_freed_with_its_turn(
    world: World, worker: Worker, scope: Scope, members: list[str]
) -> None:
    assert [rank_of(worker, scope, name) for name in members] == [0, 1, 2]
    join(worker, scope, "d")
    give_back(worker, scope, "b")
    assert rank_of(worker, scope, "d") == 1
    turn = take(worker, scope, "a").queued.turn
    world.backend().revoke_lease(turn.lease, soon())
    worker.store.refresh(soon())
    assert rank_of(worker, scope, "b") == 0
    assert rank_of(worker, scope, "c") == 2


def test_a_turn_without_a_rank_does_not_get_one_later(
    worker: Worker, scope: Scope, members: list[str]
) -> None:
    take(worker, scope, "a")
    with pytest.raises(Conflict) as error:
        rank_of(worker, scope, "a")
    assert refusal(error) == "rank_missing"


def test_ranks_are_unique_under_concurrent_requests_to_two_workers(
    world: World, scope: Scope
) -> None:
    workers = [world.worker(), world.worker()]
    names = [f"m{n}" for n in range(24)]
    for name in names:
        join(workers[0], scope, name)
    with ThreadPoolExecutor(12) as pool:
        ranks = list(
            pool.map(lambda n: rank_of(workers[n % 2], scope, names[n]), range(len(names)))
        )
    assert sorted(ranks) == list(range(len(names)))  # type: ignore[type-var]


# Several workers at once


def test_no_revision_ever_has_more_holders_than_permitted(world: World, scope: Scope) -> None:
    """Members take and give back turns through two workers while leases of holders are revoked."""
    workers = [world.worker(), world.worker()]
    names = [f"m{n}" for n in range(10)]
    first = min(join(workers[0], scope, name).cursor.revision for name in names)
    permitted = 3

    def use(number: int) -> None:
        worker, name = workers[number % 2], names[number]
        for round_number in range(4):
            generation = join(worker, scope, name).member.generation
            taken = take(worker, scope, name, permitted, generation=generation, wait=100)
            assert taken.queued.holds
            if (number + round_number) % 3:
                give_back(worker, scope, name, generation)
            else:
                world.backend().revoke_lease(taken.queued.turn.lease, soon())

    with ThreadPoolExecutor(len(names)) as pool:
        for future in [pool.submit(use, number) for number in range(len(names))]:
            future.result(60)
    worker = workers[0]
    head = worker.store.refresh(soon()).revision
    queues, seen = TurnQueues("s1"), 0
    for step in steps(worker.backend, first, head):
        for mutation in step.mutations:
            match mutation:
                case PutRecord(_, Turn() as record):
                    queues.put(record)
                    seen += 1
                case DropRecord(_, key) if key.kind is Turn:
                    queues.drop(*key.name.split("/"))
        assert sum(queued.holds for queued in queues.queued(QUEUE)) <= permitted
    assert seen == 4 * len(names)
    assert listed(worker, scope) == []
    assert not worker.store.state().records(scope, Rank)
