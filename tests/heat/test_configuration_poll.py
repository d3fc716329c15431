"""When Heat stops waiting for a configuration, and what the error says; what is deployed."""

from __future__ import annotations

from typing import Any

import pytest

from factstore.client import ConfigurationList, ConfigurationRecord, MemberRecord, errors
from factstore.heat.resources import configuration_poll
from factstore.heat.resources.configuration_poll import (
    ConfigurationGone,
    ConfigurationLost,
    ConfigurationPoll,
    ConfigurationTimedOut,
)
from factstore.heat.resources.deployment import Source, definition
from factstore.heat.resources.poll import Unanswered

PATIENCE = 10 + 60


def record(key: str = "m1/app", state: str = "due", **fields: Any) -> ConfigurationRecord:
    member, _, name = key.partition("/")
    defaults: dict[str, Any] = {
        "id": "i",
        "sequence": 1,
        "waits_for": (),
        "group": "script",
        "outputs": (),
        "depends_on": (),
        "action": "CREATE",
        "on_interrupt": "fail",
        "timeout": 10,
        "result": None,
    }
    return ConfigurationRecord(
        member=member, name=name, state=state, etag=f"{state}", **{**defaults, **fields}
    )


class Bag:
    """A data bag with configurations and members, which answers or does not."""

    def __init__(self) -> None:
        self.configurations_by_key: dict[str, ConfigurationRecord] = {}
        self.joined: dict[str, int | None] = {}
        self.answers = True

    def set(self, *records: ConfigurationRecord) -> None:
        for each in records:
            self.configurations_by_key[f"{each.member}/{each.name}"] = each

    def configuration(self, member: str, name: str) -> Any:
        bag = self

        class Item:
            def show(self, *, if_none_match: str | None) -> ConfigurationRecord | None:
                found = bag.configurations_by_key.get(f"{member}/{name}")
                if found is None:
                    raise errors.NotFound("missing", status=404)
                return None if found.etag == if_none_match else found

        return Item()

    def configurations(self) -> ConfigurationList:
        return ConfigurationList(tuple(self.configurations_by_key.values()), "")

    def member(self, name: str) -> Any:
        bag = self

        class Item:
            def show(self) -> MemberRecord:
                if name not in bag.joined:
                    raise errors.NotFound("missing", status=404)
                about = {"attributes": {}, "revision": 1, "version": 1, "updated_by": ""}
                times = {"joined_at": "", "updated_at": ""}
                return MemberRecord(
                    name,
                    "g",
                    "ready",
                    "1",
                    ttl=bag.joined[name],
                    **about,
                    **times,  # type: ignore[arg-type]
                )

        return Item()


class Waiting:
    """A poll with a clock of its own, once a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bag: Bag) -> None:
        self.bag, self.now = bag, 0.0

        class FakePoll:
            def __init__(self, *_: object) -> None: ...

            def read(self, read: Any) -> Any:
                if not bag.answers:
                    raise Unanswered
                return read(bag)

        monkeypatch.setattr(configuration_poll, "Poll", FakePoll)
        self.poll = ConfigurationPoll(
            None,
            "bag",
            "m1/app",
            10,
            now=lambda: self.now,  # type: ignore[arg-type]
        )

    def after(self, seconds: float) -> bool:
        self.now += seconds
        return self.poll.is_done()


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    return Waiting(monkeypatch, Bag())


def test_a_member_that_never_joins_is_lost_and_not_late(waiting: Waiting) -> None:
    waiting.bag.set(record())
    assert not waiting.after(0)
    assert not waiting.after(PATIENCE - 1)
    with pytest.raises(ConfigurationLost, match="no agent has joined as member m1"):
        waiting.after(1)
    waiting.bag.joined["m1"] = None  # declared, but no agent
    with pytest.raises(ConfigurationLost):
        waiting.after(0)
    waiting.bag.joined["m1"] = 30
    with pytest.raises(ConfigurationTimedOut, match=r"must have \[deploy\] hooks"):
        waiting.after(0)


def test_waiting_for_others_costs_no_time_while_they_can_end(waiting: Waiting) -> None:
    other = record("m2/db", "in_progress")
    waiting.bag.joined["m1"] = 30
    waiting.bag.set(record(state="waiting", waits_for=("m2/db",)), other)
    for _ in range(3):
        assert not waiting.after(PATIENCE)
    waiting.bag.set(record("m2/db", "failed"))
    with pytest.raises(ConfigurationTimedOut, match=r"still waits for: m2/db \(failed\)"):
        waiting.after(PATIENCE)
    del waiting.bag.configurations_by_key["m2/db"]
    with pytest.raises(ConfigurationTimedOut, match=r"m2/db \(missing\)"):
        waiting.after(PATIENCE)
    # A due one waits for others of its member that run, and not for others' members.
    waiting.bag.set(record(), record("m1/first", "in_progress"))
    assert not waiting.after(PATIENCE)
    assert not waiting.after(PATIENCE)
    waiting.bag.set(record("m1/first", "complete"), record("m3/x", "in_progress"))
    with pytest.raises(ConfigurationTimedOut):
        waiting.after(PATIENCE)


def test_a_service_that_does_not_answer_costs_no_time(waiting: Waiting) -> None:
    waiting.bag.set(record(state="in_progress"))
    waiting.bag.joined["m1"] = 30
    assert not waiting.after(0)
    waiting.bag.answers = False
    assert not waiting.after(10 * PATIENCE)
    waiting.bag.answers = True
    assert not waiting.after(PATIENCE - 1)
    with pytest.raises(ConfigurationTimedOut, match="no progress for 70 s"):
        waiting.after(1)
    waiting.bag.set(record(state="complete"))
    assert waiting.after(PATIENCE)
    waiting.bag.configurations_by_key.clear()
    with pytest.raises(ConfigurationGone):
        waiting.after(0)


def test_a_run_to_be_repeated_is_lost_only_when_its_member_stays_away(waiting: Waiting) -> None:
    waiting.bag.set(record(state="lost", on_interrupt="retry"))
    assert not waiting.after(0)
    waiting.bag.set(record(state="in_progress", on_interrupt="retry"))
    assert not waiting.after(PATIENCE - 1)
    waiting.bag.set(record(state="lost", on_interrupt="retry"))
    assert not waiting.after(PATIENCE - 1)
    assert not waiting.after(PATIENCE - 1)
    with pytest.raises(ConfigurationLost, match="departed or expired while it ran"):
        waiting.after(1)


@pytest.mark.parametrize("state", ["waiting", "due", "in_progress", "lost"])
def test_nothing_is_undeployed_on_a_machine_that_does_not_exist(
    waiting: Waiting, state: str
) -> None:
    waiting.bag.joined["m1"] = 30
    waiting.bag.set(record(state=state, waits_for=("m2/x",), on_interrupt="retry"))
    assert not waiting.poll.is_undeployed()
    del waiting.bag.joined["m1"]
    if state == "in_progress":
        assert not waiting.poll.is_undeployed()
        waiting.bag.set(record(state="lost"))
    assert waiting.poll.is_undeployed()
    waiting.bag.configurations_by_key.clear()
    assert waiting.poll.is_undeployed()


GIVEN: dict[str, Any] = {
    **dict.fromkeys(("group", "options", "input_values", "sensitive_input_values", "input_facts")),
    "outputs": ["b", "c"],
    "depends_on": None,
    "on_interrupt": "fail",
    "timeout": 5,
}


def test_a_software_config_and_properties_make_one_definition() -> None:
    source = Source.of(
        {
            "group": "Heat::Ungrouped",
            "config": "text",
            "options": {"a": 1, "b": 1},
            "inputs": [{"name": "x", "default": None}, {"name": "y", "default": 0}, {"name": "z"}],
            "outputs": [{"name": "a", "error_output": True}, {"name": "b"}],
        }
    )
    given = {
        **GIVEN,
        "options": {"b": 2},
        "input_values": {"y": None, "w": [1]},
        "sensitive_input_values": {"z": "secret"},
    }
    found = definition(given, source, "UPDATE")
    assert (found["group"], found["config"], found["action"]) == ("script", "text", "UPDATE")
    assert (found["options"], found["outputs"]) == ({"a": 1, "b": 2}, ["a", "b", "c"])
    assert found["inputs"] == {"x": "", "y": None, "w": [1]}
    assert source.error_outputs == ("a",)
    assert definition({**GIVEN, "group": "chef"}, source, "UPDATE")["group"] == "chef"


def test_a_component_has_a_text_for_each_action() -> None:
    configs = [{"actions": ["CREATE", "DELETE"], "tool": "puppet", "config": "p"}]
    source = Source.of({"group": "component", "config": {"configs": configs}})
    assert source.runs("DELETE", ["CREATE", "UPDATE"])
    assert not source.runs("UPDATE", ["CREATE", "UPDATE"])
    assert definition(GIVEN, source, "DELETE")["group"] == "puppet"
    plain = Source.of({"group": "script", "config": None})
    assert plain.runs("UPDATE", ["UPDATE"])
    assert not plain.runs("DELETE", ["UPDATE"])
    with pytest.raises(ValueError, match="it is a map"):
        Source.of({"group": "hiera", "config": {"a": 1}})
