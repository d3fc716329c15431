"""Writes of the same data wait for one another, and no others do."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Conflict, OutcomeUnknown, Unavailable
from factstore.core.model.fact import Delete, Put
from factstore.core.model.precondition import ABSENT, EXISTS
from factstore.core.model.transaction import Transaction
from factstore.core.operations.write_queue import CHANGE, Place, WriteQueue, claims
from factstore.core.state.state import State
from tests.backends.memory import MemoryBackend
from tests.unit.core.factories import SCOPE, ManualClock, put, stack, state_with
from tests.unit.core.planning import plan_facts
from tests.unit.core.service import Service

STORED = ["old", "seen", "folder/old"]
STATE = state_with(STORED)
PATIENCE = 60.0


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


class Queue:
    """A queue, and the writes that have entered it."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.clock = ManualClock()
        self.waiting = threading.Semaphore(0)
        self._queue = WriteQueue(self.clock, self._new_wake_up)
        self._threads = threads

    def _new_wake_up(self) -> threading.Event:
        self.waiting.release()
        return threading.Event()

    def place(self) -> Place:
        return Place(self._queue)

    def enter(self, transaction: Transaction) -> Place:
        """Return the place of a write that does not have to wait."""
        place = self.place()
        assert place.enter(transaction, self.clock.now)
        return place

    def waits(self, transaction: Transaction) -> tuple[Place, Future[bool]]:
        """Return the place of a write that waits."""
        place = self.place()
        entered = self._threads.submit(place.enter, transaction, self.clock.now + PATIENCE)
        assert self.waiting.acquire(timeout=PATIENCE)
        return place, entered


@pytest.fixture
def queue(threads: ThreadPoolExecutor) -> Queue:
    return Queue(threads)


def writes(*requests: Put | Delete, **fields: object) -> Transaction:
    return plan_facts(STATE, requests, **fields).commit  # type: ignore[arg-type]


def changes_stack(**fields: bool) -> Transaction:
    return Transaction(stack(), 1, **fields)


def test_a_write_that_had_to_wait_is_planned_again_before_it_enters(queue: Queue) -> None:
    first = queue.enter(writes(put("a", 1)))
    second, entered = queue.waits(writes(put("a", 2)))
    assert not entered.done()
    first.leave()
    assert entered.result(PATIENCE) is False
    assert second.enter(writes(put("a", 2)), queue.clock.now)


def test_writes_enter_by_arrival_and_newcomers_wait_behind_them(queue: Queue) -> None:
    first = queue.enter(writes(put("a", 1)))
    second, second_entered = queue.waits(writes(put("a", 2), put("b", 2)))
    # It waits only for the second write, which is not running yet.
    _, newcomer_entered = queue.waits(writes(put("b", 3)))
    first.leave()
    assert second_entered.result(PATIENCE) is False
    assert second.enter(writes(put("a", 2), put("b", 2)), queue.clock.now)
    assert not newcomer_entered.done()
    second.leave()
    assert newcomer_entered.result(PATIENCE) is False


def test_a_write_keeps_its_place_while_it_is_planned_again(queue: Queue) -> None:
    first = queue.enter(writes(put("a", 1)))
    _, entered = queue.waits(writes(put("a", 2)))
    assert first.enter(writes(put("a", 1), put("b", 1)), queue.clock.now)
    assert not entered.done()
    first.leave()
    assert entered.result(PATIENCE) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([put("a", 1)], [put("b", 1)]),
        ([put("nodes/a", 1)], [put("nodes/b", 1)]),
        ([put("nodes/a/x", 1), put("nodes/a/y", 1)], [put("nodes/b/x", 1)]),
        ([put("old", 2)], [put("new", 2)]),
        ([put("a", 1)], [Delete("old")]),
        ([put("folder/old", 2)], [put("folder/new", 2)]),
        ([put(f"nodes/a/{n}", n) for n in range(90)], [put("nodes/b", 1), put("nodes/c/x", 1)]),
    ],
)
def test_writes_of_different_paths_do_not_wait(
    queue: Queue, one: list[Put | Delete], other: list[Put | Delete]
) -> None:
    queue.enter(writes(*one))
    queue.enter(writes(*other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([put("a", 1)], [put("a", 1)]),
        ([put("old", 2)], [Delete("old")]),
        ([put("a", 1)], [put("a/b", 1)]),
        ([put("a", 1), put("x", 1)], [put("b", 1), put("x/y/z", 1)]),
        ([put("nodes/a", 1), put("q", 1)], [put("nodes", 1)]),
        ([put(f"f{n}/x/y", n) for n in range(90)], [put("f3/z", 1)]),
    ],
)
@pytest.mark.parametrize("turn", [1, -1])
def test_writes_that_could_fail_each_other_wait(
    queue: Queue, one: list[Put | Delete], other: list[Put | Delete], turn: int
) -> None:
    earlier, later = [writes(*one), writes(*other)][::turn]
    place = queue.enter(earlier)
    _, entered = queue.waits(later)
    place.leave()
    assert entered.result(PATIENCE) is False


def test_writes_with_the_same_guard_do_not_wait_but_a_change_of_it_does(queue: Queue) -> None:
    guards = [("seen", EXISTS), ("absent", ABSENT)]
    places = [queue.enter(writes(put(name, 1), guards=guards)) for name in "abc"]
    _, entered = queue.waits(writes(put("absent", 1)))
    for place in places:
        assert not entered.done()
        place.leave()
    assert entered.result(PATIENCE) is False


def test_confirmations_of_the_same_fact_do_not_wait(queue: Queue) -> None:
    unchanged = writes(put(STORED[0], 2))  # the value that it has
    assert not unchanged.writes
    queue.enter(unchanged)
    queue.enter(unchanged)


def test_only_a_new_or_deleted_stack_holds_up_its_writes(queue: Queue) -> None:
    description = queue.enter(changes_stack(updates_stack=True))
    write = queue.enter(writes(put("a", 1)))
    deletion, deleting = queue.waits(changes_stack(drops_stack=True))
    _, writing = queue.waits(writes(put("b", 1)))
    elsewhere = replace(writes(put("a", 1)), stack=replace(STATE.stack(SCOPE), name="other"))  # type: ignore[type-var]
    queue.enter(elsewhere)
    description.leave()
    write.leave()
    assert deleting.result(PATIENCE) is False
    assert not writing.done()
    deletion.leave()
    assert writing.result(PATIENCE) is False


def test_a_write_that_waits_until_its_deadline_is_refused_and_lets_others_go_on(
    queue: Queue,
) -> None:
    first = queue.enter(writes(put("a", 1)))
    with pytest.raises(Unavailable) as refused, queue.place() as late:
        late.enter(writes(put("a", 2), put("b", 2)), queue.clock.now)
    assert refused.value.code == "contention"
    queue.enter(writes(put("b", 3)))
    first.leave()
    queue.enter(writes(put("a", 3)))


def test_a_queue_that_all_writes_have_left_is_empty(queue: Queue) -> None:
    first = queue.enter(writes(put("a/b", 1), put("a/c", 1), Delete("old")))
    second, entered = queue.waits(writes(put("a/b", 2)))
    first.leave()
    assert entered.result(PATIENCE) is False
    second.leave()
    assert queue._queue.stacks == {}


names = st.sampled_from(["x", "x/y", "x/y/z", "x/w", "x-a", "v/u/t", "v/u"])
request = st.builds(put, names, st.integers(0, 3)) | st.builds(Delete, names)
requests = st.lists(request, min_size=1, max_size=4, unique_by=lambda each: each.path)


@given(
    st.sampled_from([[], ["x"], ["x/y"], ["x/y/z", "v/u"], ["x-a", "v/u/t"]]), requests, requests
)
def test_two_writes_that_do_not_wait_for_each_other_both_succeed(
    before: list[str], one: list[Put | Delete], other: list[Put | Delete]
) -> None:
    clock = ManualClock()
    backend, state, queue = MemoryBackend(clock), State(0), WriteQueue(clock, threading.Event)
    assert backend.commit(plan_facts(state, [put("p", 1), *(put(b, 0) for b in before)]).commit, 0)
    state.apply(backend._steps[0])
    try:
        planned = [
            plan_facts(state, each, now=f"{n}").commit for n, each in enumerate((one, other))
        ]
    except Conflict:
        return
    try:
        entered = [Place(queue).enter(transaction, clock.now) for transaction in planned]
    except Unavailable:
        return
    assert entered == [True, True]
    assert None not in [backend.commit(transaction, 0) for transaction in planned]


@given(st.lists(st.tuples(st.integers(0, 2), st.none() | requests), max_size=9))
def test_the_claims_of_several_writes_are_compared_thing_by_thing(
    steps: list[tuple[int, list[Put | Delete] | None]],
) -> None:
    queue = WriteQueue(ManualClock(), threading.Event)
    entered: dict[int, tuple[Place, int, dict[Hashable, int]]] = {}
    for number, (slot, planned) in enumerate(steps):
        if planned is None:
            if slot in entered:
                entered.pop(slot)[0].leave()
            continue
        try:
            transaction = writes(*planned)
        except Conflict:
            continue
        place, arrived, own = entered.pop(slot, (Place(queue), number, {}))
        more = {
            thing: claim | own.get(thing, 0)
            for thing, claim in claims(transaction).items()
            if claim | own.get(thing, 0) != own.get(thing, 0)
        }
        waits = any(
            earlier < arrived and (claim != others[thing] or claim == CHANGE)
            for _, earlier, others in entered.values()
            for thing, claim in more.items()
            if thing in others
        )
        assert place.enter_at_once(transaction) is not waits
        if not waits:
            entered[slot] = place, arrived, own | more
    for place, _, _ in entered.values():
        place.leave()
    assert queue.stacks == {}


# In the transactor


def test_a_write_whose_outcome_is_unknown_does_not_hold_up_the_next() -> None:
    service = Service()
    service.put("a", 1)
    service.store.faults = [service.lost_request]
    service.store.before_refresh = [lambda: service.put("a", "of the next")]
    with pytest.raises(OutcomeUnknown):
        service.put("a", "lost")
    assert service.value("a") == '"of the next"'


def test_a_failed_guard_is_counted_and_the_write_is_planned_again() -> None:
    service = Service()
    service.put("a", 1)
    service.others_write("a", 2)
    assert service.retries == 0
    service.put("a", 3)
    assert service.retries == 1
    assert service.value("a") == "3"
