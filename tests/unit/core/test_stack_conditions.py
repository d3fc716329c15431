"""The conditions of one stack: their cost, their bounds, and faults in one of them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, cast

import pytest

from factstore.core.errors import Forbidden, Unavailable
from factstore.core.model.alarm_definition import AlarmDefinition
from factstore.core.model.condition import CONDITIONS_PER_FACT, CONDITIONS_PER_STACK
from factstore.core.model.definition import Definition
from factstore.core.model.event import PutFact, PutRecord, Step
from factstore.core.model.fact import Fact
from factstore.core.model.member import Applied
from factstore.core.model.turn import Turn
from factstore.core.model.waiter import Timer
from factstore.core.services.alarms import AlarmView
from factstore.core.state.condition_counters import FactsCounter
from factstore.core.state.condition_preparation import prepare_conditions
from factstore.core.state.convergence import Convergence
from factstore.core.state.turn_queues import TurnQueues
from tests.unit.core.factories import SCOPE, author, fact
from tests.unit.core.records import alarm as stored_alarm
from tests.unit.core.records import member
from tests.unit.core.records import waiter as stored_waiter
from tests.unit.core.test_alarms import AlarmWorld
from tests.unit.core.test_pending_waiters import History


@pytest.fixture
def world() -> AlarmWorld:
    return AlarmWorld()


STATES = 2  # that of the store, and that of its backend


def set_alarm(world: AlarmWorld, name: str, *parts: Any) -> AlarmView:
    definition = AlarmDefinition.of({"condition": {"any": list(parts)}})
    put = world.services.alarms.put
    return put(SCOPE, name, definition, author(), create_only=False)[0]


def arm(world: AlarmWorld, name: str, success: Any, timeout: int = 60) -> None:
    definition = Definition.of({"success": success, "timeout": timeout})
    world.services.waiters.put(SCOPE, name, definition, author(), create_only=False)


def waiter(world: AlarmWorld, name: str) -> tuple[str, str | None]:
    found = world.services.waiters.get(SCOPE, name)
    return found.waiter.state, found.waiter.reason or found.fault


def equals(pattern: str, value: Any = 1) -> dict[str, Any]:
    return {"facts": pattern, "equals": value}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The patterns of the counters that are updated."""
    found: list[str] = []
    update = FactsCounter.fact

    def counting(self: FactsCounter, path: str, fact: Fact | None) -> None:
        found.append(self.pattern)
        update(self, path, fact)

    monkeypatch.setattr(FactsCounter, "fact", counting)
    return found


def test_a_fact_costs_as_much_as_different_conditions_count_it(
    world: AlarmWorld, counted: list[str]
) -> None:
    for name in range(20):
        others = [equals(f"other/{name}/{part}/*") for part in range(12)]
        set_alarm(world, f"a{name}", {"facts": "*/load", "equals": 1, "count": name + 1}, *others)
    world.load(1)
    assert counted == ["*/load"] * STATES
    assert world.services.alarms.get(SCOPE, "a0").is_met is True
    assert world.services.alarms.get(SCOPE, "a1").is_met is False


def test_a_stack_has_a_limited_number_of_conditions(world: AlarmWorld) -> None:
    for name in range(CONDITIONS_PER_STACK // 16):
        set_alarm(world, f"a{name}", *(equals(f"a{name}/{part}") for part in range(16)))
    with pytest.raises(Forbidden, match="513 conditions") as refused:
        arm(world, "w", equals("ready"))
    assert refused.value.extra == {"quota": "conditions_per_stack", "limit": 512, "used": 512}
    set_alarm(world, "a0", *(equals(f"b/{part}") for part in range(15)))
    arm(world, "w", equals("c1/load"))
    with pytest.raises(Forbidden, match="513 conditions"):
        set_alarm(world, "a0", *(equals(f"b/{part}") for part in range(16)))
    world.load(1)
    world.pass_time(1.5)
    assert waiter(world, "w")[0] == "met"
    set_alarm(world, "a0", *(equals(f"b/{part}") for part in range(16)))  # an ended waiter has none


def test_a_limited_number_of_different_conditions_can_count_a_fact(world: AlarmWorld) -> None:
    for name in range(CONDITIONS_PER_FACT // 16):
        set_alarm(world, f"a{name}", *(equals("*/load", 16 * name + part) for part in range(16)))
    set_alarm(world, "same", equals("*/load", 3), equals("*/load", 3))
    set_alarm(world, "literal", equals("c1/load", 99), equals("*/other", 99))
    with pytest.raises(Forbidden, match=r"matches 'c1/\*' could count in 66 different") as refused:
        arm(world, "w", equals("c1/*"))
    assert refused.value.extra == {"quota": "conditions_per_fact", "limit": 64, "used": 65}
    matches = [{"facts": "nodes/*/load", "match": f"{part}*"} for part in range(16)]
    set_alarm(world, "matches", *matches)
    with pytest.raises(Forbidden, match=r"'\*/\*/load' could count in 65 different"):
        arm(world, "w", equals("*/*/load"))


def test_the_facts_for_new_conditions_are_counted_in_parts_before_their_revision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = History()
    paths = [f"c{n}/load" for n in range(3500)]
    it.then(*(PutFact("s1", fact(path, 1, revision=2)) for path in paths))
    success = {"any": [equals("*/load", 2), equals("*/load", 3)]}
    condition = {"aggregate": {"function": "sum", "facts": "*/load", "at_least": 3502}}
    definition = AlarmDefinition.of({"condition": condition}).text
    alarm = replace(stored_alarm("a", 3), definition=definition)
    armed = stored_waiter("w", 3, success)
    timer = PutRecord("s1", Timer("w", revision=3, lease=armed.timer))
    step = Step(
        3,
        (
            PutRecord("s1", armed),
            timer,
            PutRecord("s1", alarm),
            PutFact("s1", fact("c5/load", 2, revision=3)),
            PutFact("s1", fact("new/load", 1, revision=3)),
        ),
    )
    seen: list[int] = []

    def pause() -> None:  # what a reader sees meanwhile
        seen.append(it.state.revision)
        assert it.state.fact(SCOPE, "c5/load") == fact("c5/load", 1, revision=2)

    prepare_conditions(it.state, step, pause)
    assert seen == [2] * (4 + 3 * 4)  # one pass over the facts, and one for each counter
    monkeypatch.delattr(FactsCounter, "load")
    it.state.apply(step)
    found = it.state.stack_state(SCOPE)
    assert found is not None
    assert found.pending_waiters.outcomes["w"].state == "met"
    assert found.alarms.decisions["a"].reading.value == 3502
    again = replace(armed, timeout=9, revision=4)  # with the same conditions, so the same counters
    it.state.apply(Step(4, (timer, PutRecord("s1", again))))
    assert found.pending_waiters.outcomes["w"].revision == 4
    prepare_conditions(it.state, Step(4, ()), pause)
    assert len(seen) == 4 + 3 * 4


def test_a_fault_in_one_condition_stops_no_other(
    world: AlarmWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    arm(world, "bad", equals("bad/*"), timeout=5)
    arm(world, "good", equals("c1/load"))
    set_alarm(world, "bad", equals("bad/*"), equals("c1/load"))
    update = FactsCounter.fact

    def failing(self: FactsCounter, path: str, fact: Fact | None) -> None:
        if self.pattern == "bad/*":
            raise RuntimeError("boom")
        update(self, path, fact)

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(FactsCounter, "fact", failing)
        for _ in range(3):
            world.load(1, "bad/1")
        world.load(1)
        world.pass_time(1.5)
    reason = "the server failed to evaluate the condition: RuntimeError: boom"
    assert waiter(world, "good")[0] == "met"
    assert waiter(world, "bad") == ("pending", reason)
    alarm = world.services.alarms.get(SCOPE, "bad")
    assert (alarm.alarm.state, alarm.is_met, alarm.fault) == ("ok", None, reason)
    logged = [each.getMessage().split(" of stack")[0] for each in caplog.records]
    assert logged == ["the waiter bad", "the alarm bad"] * STATES
    world.pass_time(10)
    assert waiter(world, "bad") == ("timed_out", f"timed out; {reason}")
    set_alarm(world, "bad", equals("bad/*"), equals("c1/other"))
    assert world.services.alarms.get(SCOPE, "bad").is_met is True
    assert world.services.alarms.get(SCOPE, "bad").fault is None


def test_a_definition_that_cannot_be_evaluated_stops_no_other(
    world: AlarmWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(world, "good", equals("c1/load"))

    def refuse(text: str) -> Definition:
        raise ValueError("of a later version")

    with monkeypatch.context() as patched:
        patched.setattr(Definition, "parse", refuse)
        arm(world, "bad", equals("c1/load"))
    world.load(1)
    world.pass_time(1.5)
    assert waiter(world, "good")[0] == "met"
    state, reason = waiter(world, "bad")
    assert (state, "of a later version" in str(reason)) == ("pending", True)


def test_after_a_fault_in_convergence_all_members_lag_and_facts_still_change(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    it = History()
    it.then(PutRecord("s1", member("m1", 2)), PutRecord("s1", Applied("m1", 2)))
    it.arm(stored_waiter("w", 0, {"converged": {}}))

    def fail(*given: object) -> None:
        raise KeyError("boom")

    monkeypatch.setattr(Convergence, "_move", fail)
    for _ in range(3):
        it.put("a")
    found = it.state.stack_state(SCOPE)
    assert found is not None
    assert (found.facts["a"].revision, found.convergence.lagging) == (it.state.revision, {"m1"})
    with pytest.raises(Unavailable, match="convergence of the stack \\(KeyError\\)"):
        found.convergence.check()
    assert [each.getMessage() for each in caplog.records] == [
        "the convergence of stack s1 is not computed any more"
    ]


def test_after_a_fault_in_the_turns_they_are_not_read() -> None:
    queues = TurnQueues("s1")
    queues.put(cast("Turn", None))
    with pytest.raises(Unavailable, match="the turns of the stack"):
        queues.find("q", "m1")
