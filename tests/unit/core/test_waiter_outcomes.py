"""Two workers that follow one history, each at its own pace: one of them writes each outcome.

The database is one state, to which steps are applied with guards.  A worker is a state of its own that
applies the steps later, and writes its outcomes at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from factstore.core.model.definition import Definition
from factstore.core.model.event import (
    DropFact,
    DropRecord,
    Event,
    Mutation,
    PutFact,
    PutRecord,
    Step,
)
from factstore.core.model.quota import no_quotas
from factstore.core.model.record import RecordKey
from factstore.core.model.waiter import Signal, Timer, Waiter
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Transaction
from factstore.core.services.waiter_controller import WaiterController
from factstore.core.state.state import State
from tests.unit.core.factories import NOW, SCOPE, ManualClock, fact, state_with

PLACE = RecordKey(Waiter, "w")
SUCCESS = {"any": [{"facts": "a", "present": True}, {"signals": 1}]}
FAILURE = {"facts": "bad", "present": True}


class Database:
    """The database: a history, and the state at its end."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.state = state_with()

    def write(self, *mutations: Mutation) -> None:
        step = Step(self.state.revision + 1, mutations)
        self.steps.append(step)
        self.state.apply(step)

    def arm(self, timeout: int) -> None:
        definition = Definition.of({"success": SUCCESS, "failure": FAILURE, "timeout": timeout})
        waiter = Waiter(
            "w", definition.text, timeout, False, "pending", NOW, "alice", "req", timer=1,
            revision=self.state.revision + 1,
        )  # fmt: skip
        gone = [DropRecord("s1", place) for place in self._signals()]
        self.write(*gone, PutRecord("s1", waiter), PutRecord("s1", Timer("w", lease=1)))

    def signal(self, status: str) -> None:
        if self.state.record(SCOPE, PLACE) is not None:
            made = Signal("w", status, status, "", "null", NOW, "alice", "req")  # type: ignore[arg-type]
            self.write(PutRecord("s1", replace(made, revision=self.state.revision + 1)))

    def end_timer(self) -> None:
        if self.state.record(SCOPE, RecordKey(Timer, "w")) is not None:
            self.write(DropRecord("s1", RecordKey(Timer, "w")))

    def toggle(self, path: str) -> None:
        if self.state.fact(SCOPE, path) is not None:
            self.write(DropFact("s1", path))
        else:
            self.write(PutFact("s1", fact(path, 1, self.state.revision + 1)))

    def _signals(self) -> list[RecordKey]:
        return [record.record_key for record in self.state.records(SCOPE, Signal)]

    def commit(self, commit: Transaction) -> int | None:
        for place, revision in commit.record_revisions.items():
            record = self.state.record(SCOPE, place)
            if (record.revision if record else 0) != revision:
                return None
        revision = self.state.revision + 1
        gone = [DropRecord("s1", p) for p in commit.removes if self.state.record(SCOPE, p)]
        made = [PutRecord("s1", replace(each, revision=revision)) for each in commit.records]
        self.write(*made, *gone)
        return revision


class Worker:
    """A worker: a lagging state, and a waiter controller on that state."""

    epoch = "0123456789abcdef"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state = state_with()
        self.events: list[Event] = []
        clock = ManualClock()
        transactor = Transactor(self, clock, no_quotas, lambda: "new", 5)  # type: ignore[arg-type]
        self.controller = WaiterController(self, clock, 5, transactor, object)  # type: ignore[arg-type]

    def state(self) -> State:
        return self._state

    def follow(self, steps: int) -> None:
        at = self._state.revision - 1
        for step in self._database.steps[at : at + steps]:
            self.events += self._state.apply(step).events

    def load(self) -> None:
        """Reload the state from the database."""
        self._state = State(self._database.state.revision)
        self._state.load(self._database.state.mutations())

    def refresh(self, deadline: float) -> State:
        self.follow(len(self._database.steps))
        return self._state

    def commit(self, commit: Transaction, deadline: float) -> int | None:
        return self._database.commit(commit)

    def revoke_lease(self, lease: int, deadline: float) -> None: ...

    def renew_lease(self, lease: int, deadline: float) -> bool:
        return True


ACTIONS = st.one_of(
    st.tuples(st.just("arm"), st.integers(1, 3)),
    st.tuples(st.just("toggle"), st.sampled_from(["a", "bad", "other"])),
    st.tuples(st.just("signal"), st.sampled_from(["SUCCESS", "FAILURE"])),
    st.tuples(st.just("end_timer")),
    st.tuples(st.sampled_from(["follow 0", "follow 1"]), st.integers(1, 5)),
    st.tuples(st.sampled_from(["round 0", "round 1", "load 0", "load 1"])),
)


@settings(max_examples=3 * settings().max_examples)
@given(st.lists(ACTIONS, max_size=40))
def test_each_arming_ends_at_most_once_and_its_outcome_is_not_lost(
    actions: list[tuple[object, ...]],
) -> None:
    database = Database()
    workers = [Worker(database), Worker(database)]
    for name, *more in actions:
        what, _, which = str(name).partition(" ")
        does: dict[str, Callable[..., object]] = {
            "follow": lambda n, which=which: workers[int(which)].follow(n),
            "round": lambda which=which: workers[int(which)].controller.run_once(),
            "load": lambda which=which: workers[int(which)].load(),
        }
        does.get(what, getattr(database, what, None))(*more)  # type: ignore[misc]
    for _ in range(2):  # each worker must apply the writes of the other
        for worker in workers:
            worker.follow(len(database.steps))
            worker.controller.run_once()
            worker.follow(len(database.steps))
    check(database)


def check(database: Database) -> None:
    """Compare the written outcomes with an evaluation of the whole history."""
    oracle = state_with()
    armed: int | None = None
    first: tuple[int, str] | None = None  # the first revision with an outcome of the arming
    ends = 0
    for step in database.steps:
        waiters = [
            m.record
            for m in step.mutations
            if isinstance(m, PutRecord) and isinstance(m.record, Waiter)
        ]
        for waiter in waiters:
            if waiter.state == "pending":
                armed, first, ends = waiter.revision, None, 0
            else:
                ends += 1
                assert ends == 1, "two ends of one arming"
                assert first is not None, "an end of what did not hold"
                # A worker that started later may have found it at a later revision.
                assert waiter.decided_revision >= first[0]
                if waiter.decided_revision == first[0]:
                    assert waiter.state == first[1]
        oracle.apply(step)
        if armed is not None and first is None:
            state = expected(oracle)
            first = (step.revision, state) if state else None
    if first is not None and _is_final(oracle):
        assert ends == 1, "what it came to is lost"


def expected(state: State) -> str | None:
    signals = {s.status for s in state.records(SCOPE, Signal) if isinstance(s, Signal)}
    if "FAILURE" in signals or state.fact(SCOPE, "bad"):
        return "failed"
    if "SUCCESS" in signals or state.fact(SCOPE, "a"):
        return "met"
    return None if state.record(SCOPE, RecordKey(Timer, "w")) else "timed_out"


def _is_final(state: State) -> bool:
    """Return True if a worker that starts now finds the outcome too."""
    return expected(state) is not None
