"""Outcomes are written once even if the store fails, and a failure does not block later writes."""

from __future__ import annotations

import pytest

from factstore.core.errors import OutcomeUnknown, Unavailable
from factstore.core.model.definition import Definition
from factstore.core.model.event import DELETION_MARKER, DeletionMarker
from factstore.core.model.fact import Put, Scope
from factstore.core.model.member import JoinRequest
from factstore.core.model.precondition import ANY
from factstore.core.model.receipt import Receipt
from factstore.core.model.record import RecordKey
from factstore.core.model.waiter import Timer, Waiter
from factstore.core.operations.idempotency import Idempotency
from factstore.core.ports import Transaction
from factstore.core.services.waiter_controller import RETRY_SECONDS, ROUND_SECONDS
from factstore.core.state.state import State
from tests.eventually import eventually
from tests.unit.core.direct import DirectStore
from tests.unit.core.factories import SCOPE, ManualClock, author
from tests.unit.core.service import services_over

TIMEOUT = 5.0


class WaiterWorld:
    """A waiter controller on a store that can be made to fail, and the services."""

    def __init__(self, store: DirectStore | None = None, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.store = store or DirectStore(self.clock)
        ids = iter(f"id{n}" for n in range(99))
        services = services_over(self.store, self.clock, lambda: next(ids))
        self.facts, self.waiters = services.facts, services.waiters
        self.members, self.stacks = services.members, services.stacks
        self.controller = services.waiter_controller

    def arm(self, name: str, *, timeout: int = 60, extend: bool = False) -> None:
        condition = {"facts": f"{name}/*", "present": True, "count": 2}
        definition = Definition.of(
            {"success": condition, "timeout": timeout, "extend_on_progress": extend}
        )
        self.waiters.put(SCOPE, name, definition, author(), create_only=False)

    def put(self, path: str) -> int:
        return self.facts.put(SCOPE, Put.of(path, 1), author(), ANY).revision

    def waiter(self, name: str) -> Waiter:
        found = self.store.refresh(0).record(SCOPE, RecordKey(Waiter, name))
        assert isinstance(found, Waiter)
        return found

    def meet(self, name: str) -> int:
        self.arm(name)
        self.put(f"{name}/1")
        return self.put(f"{name}/2")


@pytest.fixture
def world() -> WaiterWorld:
    return WaiterWorld()


def refused(commit: Transaction, deadline: float) -> int | None:
    raise Unavailable("it is away")


def test_an_outcome_is_written_with_the_revision_that_decided_it(world: WaiterWorld) -> None:
    revision = world.meet("w")
    timer = world.waiter("w").timer
    assert not world.controller.run_once(), "nothing is left"
    waiter = world.waiter("w")
    assert (waiter.state, waiter.decided_revision, waiter.timer) == ("met", revision, 0)
    assert waiter.progress is not None
    assert (waiter.progress.satisfied, waiter.progress.needed) == (2, 2)
    assert world.store.known.record(SCOPE, RecordKey(Timer, "w")) is None
    assert not world.store.renew_lease(timer, 0), "its lease was given back"
    head = world.store.backend.head(0)
    assert not world.controller.run_once()
    assert world.store.backend.head(0) == head, "and nothing is written twice"


def test_a_timeout_is_written(world: WaiterWorld) -> None:
    world.arm("w", timeout=20)
    world.clock.advance(21)
    world.store.refresh(0)
    world.controller.run_once()
    assert world.waiter("w").state == "timed_out"


def test_only_one_of_two_controllers_writes(world: WaiterWorld) -> None:
    world.meet("w")
    there = WaiterWorld(DirectStore(world.clock), world.clock)
    there.store.backend = world.store.backend
    there.store.known.epoch = world.store.known.epoch
    there.store.refresh(0)
    world.controller.run_once()
    head = world.store.backend.head(0)
    assert not there.controller.run_once(), "its guard fails, and it reads that another was first"
    assert world.store.backend.head(0) == head
    assert world.waiter("w").state == "met"


def test_a_waiter_that_was_armed_again_is_not_ended_by_an_earlier_outcome(
    world: WaiterWorld,
) -> None:
    world.meet("w")
    there = WaiterWorld(DirectStore(world.clock), world.clock)
    there.store.backend = world.store.backend
    there.store.known.epoch = world.store.known.epoch
    there.store.refresh(0)
    world.facts.delete(SCOPE, "w/1", author(), ANY)
    world.arm("w", timeout=77)
    there.controller.run_once()
    assert world.waiter("w").state == "pending"


def test_a_write_that_the_store_refuses_is_tried_again(world: WaiterWorld) -> None:
    world.meet("w")
    world.store.faults.append(refused)
    with pytest.raises(Unavailable):
        world.controller.run_once()
    assert world.waiter("w").state == "pending"
    assert not world.controller.run_once()
    assert world.waiter("w").state == "met"


def test_a_lost_response_does_not_end_a_waiter_twice(world: WaiterWorld) -> None:
    world.meet("w")

    def lost(commit: Transaction, deadline: float) -> int | None:
        assert world.store.backend.commit(commit, deadline)
        raise OutcomeUnknown("the answer was lost")

    world.store.faults.append(lost)
    head = world.store.backend.head(0)
    assert not world.controller.run_once()
    assert world.store.backend.head(0) == head + 1
    assert world.waiter("w").state == "met"
    assert not world.controller.run_once()
    assert world.store.backend.head(0) == head + 1


def test_progress_restarts_the_timeout(world: WaiterWorld) -> None:
    world.arm("w", timeout=20, extend=True)
    world.arm("v", timeout=20)
    world.clock.advance(15)
    world.put("w/1")
    world.put("v/1")
    world.controller.run_once()
    world.clock.advance(15)
    world.store.refresh(0)
    world.controller.run_once()
    assert (world.waiter("w").state, world.waiter("v").state) == ("pending", "timed_out")
    world.clock.advance(6)
    world.store.refresh(0)
    world.controller.run_once()
    assert world.waiter("w").state == "timed_out"


def test_deletions_are_marked_at_intervals(world: WaiterWorld) -> None:
    world.members.join(SCOPE, "m", JoinRequest.of("g", 600), author())
    marks = []
    for name in ("a", "b"):
        world.put(name)
        world.facts.delete(SCOPE, name, author(), ANY)
        marks.append(world.store.known.revision)
        left = world.controller.run_once()
        assert left == (name == "b"), "the second waits"
    found = world.store.known.record(SCOPE, DELETION_MARKER)
    assert isinstance(found, DeletionMarker)
    assert found.seen == marks[0]
    world.clock.advance(RETRY_SECONDS)
    assert not world.controller.run_once()
    found = world.store.known.record(SCOPE, DELETION_MARKER)
    assert isinstance(found, DeletionMarker)
    assert found.seen == marks[1]


def test_a_stack_that_was_deleted_meanwhile_does_not_block_others(world: WaiterWorld) -> None:
    world.meet("w")
    there = WaiterWorld(DirectStore(world.clock), world.clock)
    there.store.backend = world.store.backend
    there.store.known.epoch = world.store.known.epoch
    there.store.refresh(0)
    world.stacks.delete(SCOPE, author())
    assert not there.controller.run_once()
    assert not world.controller.run_once()


def test_the_thread_writes_when_woken_tries_again_and_stops(world: WaiterWorld) -> None:
    world.controller.start()
    try:
        assert world.controller.alive
        world.meet("w")
        world.store.faults.append(refused)
        world.controller.wake()
        eventually(lambda: world.waiter("w").state == "met")
    finally:
        world.controller.stop()
    assert not world.controller.alive


def restart_leases(world: WaiterWorld) -> None:
    """Give all leases their full time again, as a restart of etcd does."""
    for lease in world.store.backend._leases._leases.values():
        lease.expires_at = world.clock.now + lease.ttl


def two_rounds(world: WaiterWorld) -> None:
    """End what is overdue, and write the outcomes."""
    world.controller.run_once()
    world.store.refresh(0)
    world.controller.run_once()


def test_a_timeout_does_not_begin_again_with_the_leases(world: WaiterWorld) -> None:
    world.arm("w", timeout=20)
    world.controller.run_once()
    for _ in range(2):
        world.clock.advance(11)
        restart_leases(world)
        world.controller.run_once()
        assert world.waiter("w").state == "pending"  # also for some seconds of margin
    world.clock.advance(1)
    two_rounds(world)
    assert world.waiter("w").state == "timed_out"
    assert world.store.known.record(SCOPE, RecordKey(Timer, "w")) is None


def test_a_timeout_counts_from_the_last_progress(world: WaiterWorld) -> None:
    world.arm("w", timeout=20, extend=True)
    world.controller.run_once()
    world.clock.advance(15)
    world.put("w/1")
    world.controller.run_once()
    for advance, state in ((15, "pending"), (7, "pending"), (2, "timed_out")):
        world.clock.advance(advance)
        restart_leases(world)
        two_rounds(world)
        assert world.waiter("w").state == state


def test_an_extension_that_fails_is_tried_again(world: WaiterWorld) -> None:
    world.arm("w", timeout=20, extend=True)
    world.clock.advance(15)
    world.put("w/1")

    def away(lease: int) -> bool:
        raise Unavailable("it is away")

    world.store.renew_hooks.append(away)
    world.store.renew_hooks.append(away)
    assert world.controller.run_once(), "the extension is left"
    world.clock.advance(1)
    assert not world.controller.run_once()
    world.clock.advance(15)
    world.controller.run_once()
    assert world.waiter("w").state == "pending"


def test_a_worker_that_starts_later_counts_by_the_time_of_the_arming(world: WaiterWorld) -> None:
    world.arm("w", timeout=20)
    world.arm("extending", timeout=20, extend=True)
    world.clock.advance(18)
    restart_leases(world)
    late = WaiterWorld(DirectStore(world.clock), world.clock)
    late.store.backend = world.store.backend
    opening = world.store.backend.open()
    late.store.known = State(opening.revision, opening.epoch)
    late.store.known.load(opening.mutations)
    late.store.refresh(0)
    late.controller.run_once()
    world.clock.advance(7)
    restart_leases(world)
    two_rounds(late)
    # The late worker does not know when the other one made progress.
    assert (late.waiter("w").state, late.waiter("extending").state) == ("timed_out", "pending")


def test_progress_that_this_worker_has_not_seen_yet_prevents_a_timeout(world: WaiterWorld) -> None:
    world.arm("w", timeout=20, extend=True)
    world.controller.run_once()
    world.clock.advance(15)
    there = WaiterWorld(DirectStore(world.clock), world.clock)
    there.store.backend = world.store.backend
    there.store.known.epoch = world.store.known.epoch
    there.store.refresh(0)
    there.put("w/1")
    there.controller.run_once()
    world.clock.advance(10)
    restart_leases(world)
    world.controller.run_once()
    assert world.waiter("w").state == "pending"


def test_receipts_end_by_the_clock(world: WaiterWorld) -> None:
    world.facts.put(SCOPE, Put.of("a", 1), author(), ANY, idempotency=Idempotency("key", "print"))
    key = RecordKey(Receipt, "key")
    for hours, kept in ((2.5, True), (0.1, False)):
        world.clock.advance(hours * 3600)
        restart_leases(world)
        world.controller.run_once()
        assert (world.store.refresh(0).record(SCOPE, key) is not None) == kept


def test_projects_are_served_in_turns_and_a_long_round_ends(world: WaiterWorld) -> None:
    definition = Definition.of({"success": {"facts": "a", "present": True}})
    large, small = (
        [Scope(name, f"s{n}") for n in range(count)] for name, count in (("l", 9), ("s", 1))
    )
    for scope in (*large, *small):
        world.waiters.put(scope, "w", definition, author(), create_only=False)
        world.facts.put(scope, Put.of("a", 1), author(), ANY)

    def slow(commit: Transaction, deadline: float) -> int | None:
        world.clock.advance(ROUND_SECONDS * 0.4)
        return world.store.backend.commit(commit, deadline)

    def pending() -> list[str]:
        state = world.store.refresh(0)
        key = RecordKey(Waiter, "w")
        found = ((scope, state.record(scope, key)) for scope in (*large, *small))
        return [s.project_id for s, w in found if isinstance(w, Waiter) and w.state == "pending"]

    world.store.faults = [slow] * 10
    assert world.controller.run_once(), "the round ended early"
    assert pending() == ["l"] * 7, "the small project did not wait for the large one"
    while world.controller.run_once():
        pass
    assert pending() == []
