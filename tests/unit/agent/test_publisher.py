"""Publishing facts: which are sent, and which are not sent again."""

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


class Publishing:
    """A publisher of a member that has joined."""

    def __init__(self, directory: Path, service: Service, clock: FakeClock) -> None:
        self._service = service
        stack = service.stack(clock, retry_for=0.0)
        self.membership = Membership(
            stack, settings(directory).agent, state(directory), lambda: "b1"
        )
        service.will(answer(201, member("1a")))
        self.membership.join()
        self.publisher = Publisher(stack, "c1", self.membership, state(directory))

    def set_facts(self, facts: dict[str, Any], *broken: str, source: str = "a.json") -> None:
        sources = dict.fromkeys(facts, source)
        self.publisher.set_facts(CollectedFacts(facts, sources, dict.fromkeys(broken, "is broken")))

    def publish(self, *steps: Callable[[BaseHTTPRequestHandler], None]) -> list[list[str]]:
        """Publish with these answers; return the paths of each batch, with a minus for deletions."""
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
def publishing(tmp_path: Path, service: Service, clock: FakeClock) -> Publishing:
    return Publishing(tmp_path, service, clock)


OK = answer(200, batch())


def test_facts_that_may_follow_from_a_context_state_its_cursor(
    publishing: Publishing, service: Service
) -> None:
    publishing.set_facts({"ip": "10.0.0.1"})
    publishing.publisher.cause = "0123456789abcdef.7"
    publishing.publish(OK)
    assert service.calls[-1].headers["Factstore-Cause"] == "0123456789abcdef.7"
    publishing.set_facts({"ip": "10.0.0.2"})
    publishing.publisher.cause = None
    publishing.publish(OK)
    assert "Factstore-Cause" not in service.calls[-1].headers


def test_facts_are_bound_to_the_member_in_one_fenced_batch(
    publishing: Publishing, service: Service
) -> None:
    publishing.set_facts({"ip": "10.0.0.1", "services/slurmd": "started"})
    assert publishing.publish(OK) == [["nodes/c1/ip", "nodes/c1/services/slurmd"]]
    sent = service.calls[-1]
    assert sent.headers["Factstore-Generation"] == "1a"
    assert sent.body["operations"][0] == {
        "put": {"path": "nodes/c1/ip", "value": "10.0.0.1", "member": "c1"}
    }


def test_only_changed_facts_are_sent_again(publishing: Publishing) -> None:
    publishing.set_facts({"a": 1, "b": {"x": 1, "y": 2}})
    publishing.publish(OK)
    publishing.set_facts({"a": 1, "b": {"y": 2, "x": 1}})
    assert publishing.publish() == []
    publishing.set_facts({"a": 2, "b": {"y": 2, "x": 1}})
    assert publishing.publish(OK) == [["nodes/c1/a"]]


def test_withdrawn_facts_are_deleted_also_after_a_restart(
    publishing: Publishing, tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    publishing.set_facts({"a": 1, "b": 2})
    publishing.publish(OK)
    after = Publishing(tmp_path, service, clock)
    after.set_facts({"b": 2})
    assert after.publish(OK) == [["-nodes/c1/a", "nodes/c1/b"]]
    after.set_facts({})
    assert after.publish(OK) == [["-nodes/c1/b"]]
    assert after.publish() == []


def test_facts_that_a_killed_agent_may_have_sent_are_deleted(
    publishing: Publishing, tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    publishing.set_facts({"a": 1})
    service.will(hang_up)  # the batch may have been written
    with pytest.raises(errors.OutcomeUnknown):
        publishing.publisher.publish()
    after = Publishing(tmp_path, service, clock)
    after.set_facts({})
    assert after.publish(OK) == [["-nodes/c1/a"]]


def test_a_source_that_fails_after_a_restart_withdraws_no_facts(
    publishing: Publishing, tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    publishing.set_facts({"a": 1})
    publishing.publish(OK)
    after = Publishing(tmp_path, service, clock)
    after.set_facts({}, "a.json")
    assert after.publish() == []
    after.set_facts({})
    assert after.publish(OK) == [["-nodes/c1/a"]]


def test_a_batch_without_an_answer_is_sent_again(publishing: Publishing, service: Service) -> None:
    publishing.set_facts({"a": 1})
    service.will(hang_up)
    with pytest.raises(errors.OutcomeUnknown):
        publishing.publisher.publish()
    assert publishing.publish(OK) == [["nodes/c1/a"]]


def test_a_refused_fact_does_not_prevent_the_others(publishing: Publishing) -> None:
    publishing.set_facts({"a": 1, "b//c": 2, "d": 3})
    bad = refusal(400, "path_invalid")
    assert publishing.publish(bad, OK, bad, bad, OK) == [
        ["nodes/c1/a", "nodes/c1/b//c", "nodes/c1/d"],
        ["nodes/c1/a"],
        ["nodes/c1/b//c", "nodes/c1/d"],
        ["nodes/c1/b//c"],
        ["nodes/c1/d"],
    ]
    assert publishing.publisher.problems == {"nodes/c1/b//c": "about path_invalid (req-1)"}
    publishing.set_facts({"a": 1, "b//c": 2, "d": 3})
    assert publishing.publish() == []  # this fact can never be accepted
    publishing.set_facts({"a": 1, "b/c": 2, "d": 3})
    assert publishing.publish(OK) == [["-nodes/c1/b//c", "nodes/c1/b/c"]]


def test_facts_refused_by_a_quota_are_sent_again_with_the_next_facts(
    publishing: Publishing,
) -> None:
    publishing.set_facts({"a": 1})
    assert publishing.publish(refusal(403, "quota_exceeded")) == [["nodes/c1/a"]]
    assert publishing.publish() == []
    publishing.set_facts({"a": 1})
    assert publishing.publish(OK) == [["nodes/c1/a"]]
    assert publishing.publisher.problems == {}


def test_a_new_incarnation_publishes_all_facts_again(
    publishing: Publishing, service: Service
) -> None:
    publishing.set_facts({"a": 1, "b": 2})
    publishing.publish(OK)
    publishing.set_facts({"a": 3, "b": 2})
    service.will(
        refusal(409, "generation_stale"),
        refusal(409, "generation_stale"),
        answer(200, STACK),
        refusal(404, "not_found"),
    )
    with pytest.raises(errors.Conflict):
        publishing.publisher.publish()
    assert not publishing.membership.joined
    assert publishing.publish() == []  # the agent is not a member
    service.will(answer(200, STACK), answer(201, member("2b")))
    publishing.membership.join()
    assert publishing.publish(OK) == [["nodes/c1/a", "nodes/c1/b"]]
    assert service.calls[-1].headers["Factstore-Generation"] == "2b"


def test_many_facts_are_split_into_batches(publishing: Publishing) -> None:
    publishing.set_facts({f"n{number:03}": number for number in range(150)})
    assert [len(each) for each in publishing.publish(OK, OK)] == [100, 50]


def test_large_facts_are_split_into_batches(publishing: Publishing) -> None:
    publishing.set_facts({f"n{number}": "x" * 60_000 for number in range(20)})
    sizes = [len(each) for each in publishing.publish(OK, OK, OK)]
    assert sizes == [8, 8, 4]


def test_results_are_sent_once_and_below_results(publishing: Publishing) -> None:
    publishing.publisher.set_results({"agent/state": "applied", "agent/problems": {}})
    assert publishing.publish(OK) == [["results/c1/agent/state", "results/c1/agent/problems"]]
    publishing.publisher.set_results({"agent/state": "applied", "agent/problems": {}})
    publishing.publisher.set_results({})
    assert publishing.publish() == []
