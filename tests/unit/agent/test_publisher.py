"""Telling facts: what is sent, and what is not sent again."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from factstore.agent.publish.publisher import Publisher
from factstore.agent.publish.sources import CollectedFacts
from factstore.agent.session.membership import Membership
from factstore.client import errors
from tests.unit.agent.factories import STACK, batch, member, settings, state
from tests.unit.client.stub import FakeClock, Service, answer, hang_up, refusal


class Telling:
    """A publisher of a member that has joined."""

    def __init__(self, directory: Path, service: Service, clock: FakeClock) -> None:
        self._service = service
        stack = service.stack(clock, retry_for=0.0)
        self.membership = Membership(stack, settings(directory).agent, state(directory))
        service.will(answer(201, member("1a")))
        self.membership.join()
        self.publisher = Publisher(stack, "c1", self.membership, state(directory))

    def set_facts(self, facts: dict[str, Any], *broken: str, source: str = "a.json") -> None:
        sources = dict.fromkeys(facts, source)
        self.publisher.set_facts(CollectedFacts(facts, sources, dict.fromkeys(broken, "is broken")))

    def publish(self, *steps: Callable[[BaseHTTPRequestHandler], None]) -> list[list[str]]:
        """Publish with these answers; the paths of each batch, those taken back with a minus."""
        before = len(self._service.calls)
        self._service.will(*steps)
        self.publisher.publish()
        assert not self._service.script
        return self.sent(before)

    def sent(self, before: int) -> list[list[str]]:
        return [
            [
                f"-{each['delete']['path']}" if "delete" in each else each["put"]["path"]
                for each in call.body["operations"]
            ]
            for call in self._service.calls[before:]
            if call.path.endswith("/batch")
        ]


@pytest.fixture
def telling(tmp_path: Path, service: Service, clock: FakeClock) -> Telling:
    return Telling(tmp_path, service, clock)


OK = answer(200, batch())


def test_facts_are_bound_to_the_member_in_one_fenced_batch(
    telling: Telling, service: Service
) -> None:
    telling.set_facts({"ip": "10.0.0.1", "services/slurmd": "started"})
    assert telling.publish(OK) == [["nodes/c1/ip", "nodes/c1/services/slurmd"]]
    sent = service.calls[-1]
    assert sent.headers["Factstore-Generation"] == "1a"
    assert sent.body["operations"][0] == {
        "put": {"path": "nodes/c1/ip", "value": "10.0.0.1", "member": "c1"}
    }


def test_only_changed_facts_are_sent_again(telling: Telling) -> None:
    telling.set_facts({"a": 1, "b": {"x": 1, "y": 2}})
    telling.publish(OK)
    telling.set_facts({"a": 1, "b": {"y": 2, "x": 1}})
    assert not telling.publisher.has_changes
    assert telling.publish() == []
    telling.set_facts({"a": 2, "b": {"y": 2, "x": 1}})
    assert telling.publish(OK) == [["nodes/c1/a"]]


def test_withdrawn_facts_are_deleted_also_after_a_restart(
    telling: Telling, tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    telling.set_facts({"a": 1, "b": 2})
    telling.publish(OK)
    after = Telling(tmp_path, service, clock)
    after.set_facts({"b": 2})
    assert after.publish(OK) == [["-nodes/c1/a", "nodes/c1/b"]]
    after.set_facts({})
    assert after.publish(OK) == [["-nodes/c1/b"]]
    assert after.publish() == []


def test_facts_that_a_killed_agent_may_have_sent_are_deleted(
    telling: Telling, tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    telling.set_facts({"a": 1})
    service.will(hang_up)  # perhaps told, and then it was killed
    with pytest.raises(errors.OutcomeUnknown):
        telling.publisher.publish()
    after = Telling(tmp_path, service, clock)
    after.set_facts({})
    assert after.publish(OK) == [["-nodes/c1/a"]]


def test_a_source_that_fails_after_a_restart_withdraws_no_facts(
    telling: Telling, tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    telling.set_facts({"a": 1})
    telling.publish(OK)
    after = Telling(tmp_path, service, clock)
    after.set_facts({}, "a.json")
    assert after.publish() == []
    after.set_facts({})
    assert after.publish(OK) == [["-nodes/c1/a"]]


def test_a_batch_without_an_answer_is_sent_again(telling: Telling, service: Service) -> None:
    telling.set_facts({"a": 1})
    service.will(hang_up)
    with pytest.raises(errors.OutcomeUnknown):
        telling.publisher.publish()
    assert telling.publisher.has_changes
    assert telling.publish(OK) == [["nodes/c1/a"]]


def test_a_refused_fact_does_not_prevent_the_others(telling: Telling) -> None:
    telling.set_facts({"a": 1, "b//c": 2, "d": 3})
    bad = refusal(400, "path_invalid")
    assert telling.publish(bad, OK, bad, bad, OK) == [
        ["nodes/c1/a", "nodes/c1/b//c", "nodes/c1/d"],
        ["nodes/c1/a"],
        ["nodes/c1/b//c", "nodes/c1/d"],
        ["nodes/c1/b//c"],
        ["nodes/c1/d"],
    ]
    assert telling.publisher.problems == {"nodes/c1/b//c": "about path_invalid (req-1)"}
    telling.set_facts({"a": 1, "b//c": 2, "d": 3})
    assert telling.publish() == []  # it can never be right
    telling.set_facts({"a": 1, "b/c": 2, "d": 3})
    assert telling.publish(OK) == [["-nodes/c1/b//c", "nodes/c1/b/c"]]


def test_facts_refused_by_a_quota_are_sent_again_with_the_next_facts(telling: Telling) -> None:
    telling.set_facts({"a": 1})
    assert telling.publish(refusal(403, "quota_exceeded")) == [["nodes/c1/a"]]
    assert telling.publish() == []
    telling.set_facts({"a": 1})
    assert telling.publish(OK) == [["nodes/c1/a"]]
    assert telling.publisher.problems == {}


def test_a_new_incarnation_publishes_all_facts_again(telling: Telling, service: Service) -> None:
    telling.set_facts({"a": 1, "b": 2})
    telling.publish(OK)
    telling.set_facts({"a": 3, "b": 2})
    service.will(
        refusal(409, "generation_stale"),
        refusal(409, "generation_stale"),
        answer(200, STACK),
        refusal(404, "not_found"),
    )
    with pytest.raises(errors.Conflict):
        telling.publisher.publish()
    assert not telling.membership.joined.is_set()
    assert telling.publish() == []  # nobody to tell it as
    service.will(answer(200, STACK), answer(201, member("2b")))
    telling.membership.join()
    assert telling.publish(OK) == [["nodes/c1/a", "nodes/c1/b"]]
    assert service.calls[-1].headers["Factstore-Generation"] == "2b"


def test_many_facts_are_split_into_batches(telling: Telling) -> None:
    telling.set_facts({f"n{number:03}": number for number in range(150)})
    assert [len(each) for each in telling.publish(OK, OK)] == [100, 50]


def test_large_facts_are_split_into_batches(telling: Telling) -> None:
    telling.set_facts({f"n{number}": "x" * 60_000 for number in range(20)})
    sizes = [len(each) for each in telling.publish(OK, OK, OK)]
    assert sizes == [8, 8, 4]


def test_results_are_sent_once_and_below_results(telling: Telling) -> None:
    telling.publisher.set_results({"agent/state": "applied", "agent/problems": {}})
    assert telling.publish(OK) == [["results/c1/agent/state", "results/c1/agent/problems"]]
    telling.publisher.set_results({"agent/state": "applied", "agent/problems": {}})
    telling.publisher.set_results({})
    assert telling.publish() == []
