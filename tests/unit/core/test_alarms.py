"""Alarms on a store in memory, with a clock that the test advances."""

from __future__ import annotations

from typing import Any

import pytest

from factstore.core.errors import Forbidden, Invalid, NotFound, PreconditionFailed
from factstore.core.model.alarm import ALARMS_PER_STACK, Alarm, AlarmTimer
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.fact import Put
from factstore.core.model.precondition import ANY
from factstore.core.model.record import RecordKey
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_snapshot import snapshot
from tests.unit.core.direct import DirectStore
from tests.unit.core.factories import SCOPE, ManualClock, author
from tests.unit.core.service import services_over

HIGH = {"aggregate": {"function": "max", "facts": "*/load", "at_least": 8, "clear": 5}}


class AlarmWorld:
    """Alarms, their controller, and the events that readers receive."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = DirectStore(self.clock)
        ids = iter(f"id{n}" for n in range(99))
        self.services = services_over(self.store, self.clock, lambda: next(ids))

    def set(self, condition: Any = HIGH, **more: Any) -> Alarm:
        definition = AlarmDefinition.of({"condition": condition, **more})
        put = self.services.alarms.put
        return put(SCOPE, "a", definition, author(), create_only=False)[0].alarm

    def load(self, value: Any, path: str = "c1/load") -> None:
        self.services.facts.put(SCOPE, Put.of(path, value), author(), ANY)

    def remove(self, path: str = "c1/load") -> None:
        self.services.facts.delete(SCOPE, path, author(), ANY)

    def run(self, seconds: float = 1.5) -> str:
        """Advance the clock, let the controller write, and return the alarm's state."""
        self.pass_time(seconds)
        return self.alarm.state

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.store.refresh(0)
        self.services.waiter_controller.run_once()

    @property
    def alarm(self) -> Alarm:
        found = self.store.refresh(0).record(SCOPE, RecordKey(Alarm, "a"))
        assert isinstance(found, Alarm)
        return found

    @property
    def revision(self) -> int:
        return self.store.backend.head(0)


@pytest.fixture
def world() -> AlarmWorld:
    return AlarmWorld()


def test_an_alarm_is_raised_and_cleared_with_the_number_that_decided(world: AlarmWorld) -> None:
    world.set()
    assert world.run() == "ok"
    world.load(9.5)
    decided = world.revision
    assert world.run() == "alarm"
    found = world.alarm
    assert (found.value, found.decided_revision) == (9.5, decided)
    assert found.reason == "the max of */load is 9.5"
    head = world.revision
    assert world.run() == "alarm"
    assert world.revision == head, "nothing is written twice"
    world.load(4)
    assert world.run() == "ok"
    assert world.alarm.value == 4


def test_a_raised_alarm_is_cleared_only_beyond_the_number_for_that(world: AlarmWorld) -> None:
    world.set()
    states = []
    for load in (7, 8, 7, 5, 4.9, 7, 8):
        world.load(load)
        states.append(world.run())
    assert states == ["ok", "alarm", "alarm", "alarm", "ok", "ok", "alarm"]


def test_a_condition_must_have_changed_for_its_time(world: AlarmWorld) -> None:
    world.set(**{"for": 10})
    world.load(9)
    assert world.run() == "ok"
    assert world.alarm.pending == "alarm"
    assert world.run(5) == "ok"
    assert world.run(6) == "alarm"
    assert world.alarm.pending is None
    world.load(1)
    world.run()
    assert world.run(11) == "ok"


def test_an_interruption_begins_the_time_again(world: AlarmWorld) -> None:
    world.set(**{"for": 10})
    world.load(9)
    world.run()
    world.run(8)
    # Both changes happen between two writes of the controller.
    world.load(1)
    world.load(9)
    assert world.run(3) == "ok"
    assert world.alarm.pending is None
    assert world.run() == "ok"
    assert world.alarm.pending == "alarm"
    assert world.run(9) == "ok"
    assert world.run(2) == "alarm"


def test_no_second_edge_follows_within_the_quiet_time(world: AlarmWorld) -> None:
    world.set(quiet=30)
    world.load(9)
    assert world.run() == "alarm"
    for load in (1, 9, 1):
        world.load(load)
        assert world.run() == "alarm"
    assert world.run(31) == "ok"
    world.load(9)
    assert world.run(20) == "ok"
    assert world.run(11) == "alarm"


def test_a_raised_alarm_is_repeated_while_its_condition_is_true(world: AlarmWorld) -> None:
    world.set(repeat=60)
    world.load(9)
    assert world.run() == "alarm"
    for repeats in (1, 2):
        world.run(61)
        assert world.alarm.repeats == repeats
        world.run(30)
        assert world.alarm.repeats == repeats
    # Neither without data, nor after it is cleared.
    world.remove()
    assert world.run(61) == "alarm"
    assert world.alarm.repeats == 2
    world.load(1)
    assert world.run() == "ok"
    world.run(61)
    assert (world.alarm.state, world.alarm.repeats) == ("ok", 0)


@pytest.mark.parametrize(
    ("no_data", "states"),
    [
        ("keep", ["ok", "alarm", "alarm", "alarm"]),
        ("ok", ["ok", "alarm", "ok", "alarm"]),
        ("alarm", ["alarm", "alarm", "alarm", "alarm"]),
        ("no_data", ["no_data", "alarm", "no_data", "alarm"]),
    ],
)
def test_without_data_the_alarm_has_the_state_that_was_chosen(
    world: AlarmWorld, no_data: str, states: list[str]
) -> None:
    world.set(no_data=no_data)
    found = [world.run()]
    world.load(9)
    found.append(world.run())
    world.load("9")  # a text is not a number
    found.append(world.run())
    world.load(9)
    found.append(world.run())
    assert found == states


def test_an_alarm_whose_condition_changes_often_is_written_once_a_second(world: AlarmWorld) -> None:
    world.set()
    world.load(9)
    assert world.run() == "alarm"
    writes = 0
    for at in range(40):
        world.load(9 if at % 2 else 1)
        head = world.revision
        world.run(0.1)
        writes += world.revision - head
    assert 3 <= writes <= 4


def test_an_edge_is_written_although_its_condition_has_already_changed_back(
    world: AlarmWorld,
) -> None:
    world.set()
    world.load(9)
    decided = world.revision
    world.load(1)
    assert world.run() == "alarm"
    assert world.alarm.decided_revision == decided
    assert world.run() == "ok"


def test_another_definition_keeps_the_state(world: AlarmWorld) -> None:
    world.set()
    world.load(9)
    assert world.run() == "alarm"
    unchanged = world.set()
    assert unchanged == world.alarm
    changed = world.set(repeat=60)
    assert (changed.state, changed.value) == ("alarm", 9)
    assert world.run() == "alarm"
    assert world.alarm.repeats == 0, "the change repeats nothing"
    world.set({"facts": "*/load", "at_least": 100})
    assert world.run() == "ok"


def test_an_alarm_of_a_waiters_condition_goes_up_and_down(world: AlarmWorld) -> None:
    world.set({"any": [{"facts": "*/failure", "present": True, "count": 2}]})
    for path in ("c1/failure", "c2/failure"):
        world.load("disk", path)
    assert world.run() == "alarm"
    assert (world.alarm.value, world.alarm.reason) == (None, "the condition is true")
    world.remove("c1/failure")
    assert world.run() == "ok"


def test_only_one_of_two_workers_writes_an_edge(world: AlarmWorld) -> None:
    world.set(quiet=30)
    world.load(9)
    there = AlarmWorld()
    there.store.backend = world.store.backend
    there.store.known.epoch = world.store.state().epoch
    there.store.refresh(0)
    world.run()
    head = world.revision
    there.services.waiter_controller.run_once()
    assert world.revision == head


@pytest.mark.parametrize(
    ("wanted", "contained"),
    [
        (Filter(), True),
        (Filter(types=frozenset({"alarm.raised"})), True),
        (Filter(types=frozenset({"fact.put"})), False),
        (Filter(prefixes=("c1",)), False),
        (Filter(prefixes=("c1",), alarms=("a",)), True),
        (Filter(alarms=("b",)), False),
    ],
)
def test_a_watch_begins_with_the_alarms_that_its_filter_wants(
    world: AlarmWorld, wanted: Filter, contained: bool
) -> None:
    world.set()
    found = snapshot(world.store.refresh(0), SCOPE, wanted)
    assert found is not None
    alarms = [alarm for frame in found.frames() for alarm in frame.alarms]
    assert alarms == ([world.alarm] if contained else [])


def test_a_deleted_alarm_leaves_nothing(world: AlarmWorld) -> None:
    world.set(quiet=30, repeat=60)
    world.load(9)
    world.run()
    timers = world.store.refresh(0).records(SCOPE, AlarmTimer)
    assert [timer.phase for timer in timers] == ["quiet", "repeat"]
    world.services.alarms.delete(SCOPE, "a", author())
    assert world.store.refresh(0).records(SCOPE, AlarmTimer) == []
    assert not any(world.store.renew_lease(timer.lease, 0) for timer in timers)
    with pytest.raises(NotFound):
        world.services.alarms.get(SCOPE, "a")
    with pytest.raises(NotFound):
        world.services.alarms.delete(SCOPE, "a", author())


def test_a_stack_has_a_limited_number_of_alarms(world: AlarmWorld) -> None:
    definition = AlarmDefinition.of({"condition": HIGH})
    put = world.services.alarms.put
    for number in range(ALARMS_PER_STACK):
        put(SCOPE, f"a{number}", definition, author(), create_only=True)
    with pytest.raises(Forbidden, match="100 alarms"):
        put(SCOPE, "another", definition, author(), create_only=False)
    with pytest.raises(PreconditionFailed):
        put(SCOPE, "a1", definition, author(), create_only=True)


@pytest.mark.parametrize(
    ("document", "field", "says"),
    [
        ({}, "condition", "missing"),
        ({"condition": None}, "condition", "null"),
        ({"condition": {"signals": 1}}, "condition.signals", "sent to waiters"),
        ({"condition": {"all": [{"signals": 1}]}}, "condition.all.0.signals", "sent to waiters"),
        ({"condition": HIGH, "timeout": 1}, "", "'timeout'"),
        ({"condition": HIGH, "for": -1}, "for", "from 0 to 86400"),
        ({"condition": HIGH, "quiet": 1.5}, "quiet", "1.5"),
        ({"condition": HIGH, "repeat": True}, "repeat", "true"),
        ({"condition": HIGH, "no_data": "raise"}, "no_data", "'raise'"),
        ({"condition": HIGH, "no_data": ["ok"]}, "no_data", "array"),
        ({"condition": {"all": [HIGH] * 17}}, "", "17 conditions"),
        ({"condition": {"aggregate": 1}}, "condition.aggregate", "number 1"),
    ],
)
def test_an_invalid_alarm_is_refused_with_its_position(
    document: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(Invalid) as refused:
        AlarmDefinition.of(document)
    assert (refused.value.code, refused.value.extra) == ("condition_invalid", {"field": field})
    assert says in refused.value.detail


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"function": None}, "function", "null"),
        ({"function": "median"}, "function", "'median'"),
        ({"facts": "n*"}, "facts", "one whole segment"),
        ({"fact": "load"}, "", "facts and fact"),
        ({"facts": ...}, "", "none of facts, fact and result"),
        ({"facts": ..., "fact": "*/load"}, "fact", "'*'"),
        ({"facts": ..., "fact": "a", "result": "b"}, "", "fact and result"),
        ({"facts": ..., "result": "a//b"}, "result", "below results/<member>/"),
        ({"group": "web"}, "", "'group'"),
        ({"at_most": 9}, "", "at_least and at_most"),
        ({"at_least": ...}, "", "neither at_least nor at_most"),
        ({"at_least": "8"}, "at_least", "string '8'"),
        ({"clear": 9}, "clear", "above at_least, 8"),
        ({"at_least": ..., "at_most": 8}, "clear", "below at_most, 8"),
        ({"clear": None}, "clear", "null"),
        ({"count": 2}, "", "'count'"),
    ],
)
def test_an_invalid_aggregate_is_refused_with_its_position(
    change: dict[str, Any], field: str, says: str
) -> None:
    aggregate = {**HIGH["aggregate"], **change}
    given = {name: value for name, value in aggregate.items() if value is not ...}
    with pytest.raises(Invalid) as refused:
        AlarmDefinition.of({"condition": {"aggregate": given}})
    position = f"condition.aggregate.{field}" if field else "condition.aggregate"
    assert refused.value.extra == {"field": position}
    assert says in refused.value.detail
