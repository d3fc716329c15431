"""Verdicts are written once, whatever the store does, and nothing holds up what comes after."""

from __future__ import annotations

import pytest

from factstore.core.errors import OutcomeUnknown, Unavailable
from factstore.core.model.condition import Definition
from factstore.core.model.event import DELETION_MARKER, DeletionMarker
from factstore.core.model.fact import Put
from factstore.core.model.member import JoinRequest
from factstore.core.model.precondition import ANY
from factstore.core.model.record_key import RecordKey
from factstore.core.model.waiter import Waiter
from factstore.core.ports import Transaction
from factstore.core.services.waiter_controller import RETRY_SECONDS
from tests.eventually import eventually
from tests.unit.core.direct import DirectStore
from tests.unit.core.factories import SCOPE, ManualClock, author
from tests.unit.core.service import services_over

TIMEOUT = 5.0


class Court:
    """A referee over a store that fails when told to, and what it judges."""

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
        found = self.store.refresh(0).record(SCOPE, RecordKey("waiter", name))
        assert isinstance(found, Waiter)
        return found

    def meet(self, name: str) -> int:
        self.arm(name)
        self.put(f"{name}/1")
        return self.put(f"{name}/2")


@pytest.fixture
def court() -> Court:
    return Court()


def refused(commit: Transaction, deadline: float) -> int | None:
    raise Unavailable("it is away")


def test_a_verdict_is_written_with_the_revision_that_decided(court: Court) -> None:
    revision = court.meet("w")
    timer = court.waiter("w").timer
    assert not court.controller.run_once(), "nothing is left"
    waiter = court.waiter("w")
    assert (waiter.state, waiter.decided_revision, waiter.timer) == ("met", revision, 0)
    assert waiter.progress is not None
    assert (waiter.progress.satisfied, waiter.progress.needed) == (2, 2)
    assert court.store.known.record(SCOPE, RecordKey("timer", "w")) is None
    assert not court.store.renew_lease(timer, 0), "its lease was given back"
    head = court.store.backend.head(0)
    assert not court.controller.run_once()
    assert court.store.backend.head(0) == head, "and nothing is written twice"


def test_a_waiter_whose_time_is_over_is_written_down(court: Court) -> None:
    court.arm("w", timeout=20)
    court.clock.advance(21)
    court.store.refresh(0)
    court.controller.run_once()
    assert court.waiter("w").state == "timed_out"


def test_of_two_referees_one_writes(court: Court) -> None:
    court.meet("w")
    there = Court(DirectStore(court.clock), court.clock)
    there.store.backend, there.store.epoch = court.store.backend, court.store.epoch
    there.store.known.epoch = court.store.epoch
    there.store.refresh(0)
    court.controller.run_once()
    head = court.store.backend.head(0)
    assert not there.controller.run_once(), "its guard fails, and it reads that another was first"
    assert court.store.backend.head(0) == head
    assert court.waiter("w").state == "met"


def test_a_waiter_that_was_armed_again_is_not_ended_by_what_was_before(court: Court) -> None:
    court.meet("w")
    there = Court(DirectStore(court.clock), court.clock)
    there.store.backend, there.store.epoch = court.store.backend, court.store.epoch
    there.store.known.epoch = court.store.epoch
    there.store.refresh(0)
    court.facts.delete(SCOPE, "w/1", author(), ANY)
    court.arm("w", timeout=77)
    there.controller.run_once()
    assert court.waiter("w").state == "pending"


def test_what_the_store_refuses_is_left_and_tried_again(court: Court) -> None:
    court.meet("w")
    court.store.faults.append(refused)
    with pytest.raises(Unavailable):
        court.controller.run_once()
    assert court.waiter("w").state == "pending"
    assert not court.controller.run_once()
    assert court.waiter("w").state == "met"


def test_a_lost_answer_does_not_end_a_waiter_twice(court: Court) -> None:
    court.meet("w")

    def lost(commit: Transaction, deadline: float) -> int | None:
        assert court.store.backend.commit(commit, deadline)
        raise OutcomeUnknown("the answer was lost")

    court.store.faults.append(lost)
    head = court.store.backend.head(0)
    assert not court.controller.run_once()
    assert court.store.backend.head(0) == head + 1
    assert court.waiter("w").state == "met"
    assert not court.controller.run_once()
    assert court.store.backend.head(0) == head + 1


def test_progress_starts_the_time_anew(court: Court) -> None:
    court.arm("w", timeout=20, extend=True)
    court.arm("v", timeout=20)
    court.clock.advance(15)
    court.put("w/1")
    court.put("v/1")
    court.controller.run_once()
    court.clock.advance(15)
    court.store.refresh(0)
    court.controller.run_once()
    assert (court.waiter("w").state, court.waiter("v").state) == ("pending", "timed_out")
    court.clock.advance(6)
    court.store.refresh(0)
    court.controller.run_once()
    assert court.waiter("w").state == "timed_out"


def test_what_went_is_marked_now_and_then_and_not_at_each_deletion(court: Court) -> None:
    court.members.join(SCOPE, "m", JoinRequest.of("g", 600), author())
    marks = []
    for name in ("a", "b"):
        court.put(name)
        court.facts.delete(SCOPE, name, author(), ANY)
        marks.append(court.store.known.revision)
        left = court.controller.run_once()
        assert left == (name == "b"), "the second waits"
    found = court.store.known.record(SCOPE, DELETION_MARKER)
    assert isinstance(found, DeletionMarker)
    assert found.seen == marks[0]
    court.clock.advance(RETRY_SECONDS)
    assert not court.controller.run_once()
    found = court.store.known.record(SCOPE, DELETION_MARKER)
    assert isinstance(found, DeletionMarker)
    assert found.seen == marks[1]


def test_a_stack_that_went_meanwhile_holds_nobody_up(court: Court) -> None:
    court.meet("w")
    there = Court(DirectStore(court.clock), court.clock)
    there.store.backend, there.store.epoch = court.store.backend, court.store.epoch
    there.store.known.epoch = court.store.epoch
    there.store.refresh(0)
    court.stacks.delete(SCOPE, author())
    assert not there.controller.run_once()
    assert not court.controller.run_once()


def test_its_thread_writes_when_told_tries_again_and_ends(court: Court) -> None:
    court.controller.start()
    try:
        assert court.controller.alive
        court.meet("w")
        court.store.faults.append(refused)
        court.controller.wake()
        eventually(lambda: court.waiter("w").state == "met")
    finally:
        court.controller.stop()
    assert not court.controller.alive
