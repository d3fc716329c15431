"""Telling facts: what is sent, and what is not sent again."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from factstore.agent.publish.publisher import Publisher
from factstore.agent.publish.sources import Collected
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

    def offer(self, facts: dict[str, Any], *broken: str, source: str = "a.json") -> None:
        sources = dict.fromkeys(facts, source)
        self.publisher.offer(Collected(facts, sources, dict.fromkeys(broken, "is broken")))

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


def test_facts_go_with_the_member_in_one_batch_that_is_fenced(
    telling: Telling, service: Service
) -> None:
    telling.offer({"ip": "10.0.0.1", "services/slurmd": "started"})
    assert telling.publish(OK) == [["nodes/c1/ip", "nodes/c1/services/slurmd"]]
    sent = service.calls[-1]
    assert sent.headers["Factstore-Generation"] == "1a"
    assert sent.body["operations"][0] == {
        "put": {"path": "nodes/c1/ip", "value": "10.0.0.1", "member": "c1"}
    }


def test_only_what_changed_is_told_again(telling: Telling) -> None:
    telling.offer({"a": 1, "b": {"x": 1, "y": 2}})
    telling.publish(OK)
    telling.offer({"a": 1, "b": {"y": 2, "x": 1}})
    assert not telling.publisher.due
    assert telling.publish() == []
    telling.offer({"a": 2, "b": {"y": 2, "x": 1}})
    assert telling.publish(OK) == [["nodes/c1/a"]]


def test_what_vanished_is_taken_back_also_by_the_agent_that_comes_after(
    telling: Telling, tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    telling.offer({"a": 1, "b": 2})
    telling.publish(OK)
    after = Telling(tmp_path, service, clock)
    after.offer({"b": 2})
    assert after.publish(OK) == [["-nodes/c1/a", "nodes/c1/b"]]
    after.offer({})
    assert after.publish(OK) == [["-nodes/c1/b"]]
    assert after.publish() == []


def test_what_was_about_to_be_told_by_a_killed_agent_is_taken_back(
    telling: Telling, tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    telling.offer({"a": 1})
    service.will(hang_up)  # perhaps told, and then it was killed
    with pytest.raises(errors.OutcomeUnknown):
        telling.publisher.publish()
    after = Telling(tmp_path, service, clock)
    after.offer({})
    assert after.publish(OK) == [["-nodes/c1/a"]]


def test_a_source_that_is_broken_after_a_restart_takes_nothing_back(
    telling: Telling, tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    telling.offer({"a": 1})
    telling.publish(OK)
    after = Telling(tmp_path, service, clock)
    after.offer({}, "a.json")
    assert after.publish() == []
    after.offer({})
    assert after.publish(OK) == [["-nodes/c1/a"]]


def test_a_batch_whose_answer_was_lost_is_told_again(telling: Telling, service: Service) -> None:
    telling.offer({"a": 1})
    service.will(hang_up)
    with pytest.raises(errors.OutcomeUnknown):
        telling.publisher.publish()
    assert telling.publisher.due
    assert telling.publish(OK) == [["nodes/c1/a"]]


def test_one_that_is_refused_does_not_keep_the_others_from_being_told(telling: Telling) -> None:
    telling.offer({"a": 1, "b//c": 2, "d": 3})
    bad = refusal(400, "path_invalid")
    assert telling.publish(bad, OK, bad, bad, OK) == [
        ["nodes/c1/a", "nodes/c1/b//c", "nodes/c1/d"],
        ["nodes/c1/a"],
        ["nodes/c1/b//c", "nodes/c1/d"],
        ["nodes/c1/b//c"],
        ["nodes/c1/d"],
    ]
    assert telling.publisher.problems == {"nodes/c1/b//c": "about path_invalid (req-1)"}
    telling.offer({"a": 1, "b//c": 2, "d": 3})
    assert telling.publish() == []  # it can never be right
    telling.offer({"a": 1, "b/c": 2, "d": 3})
    assert telling.publish(OK) == [["-nodes/c1/b//c", "nodes/c1/b/c"]]


def test_what_a_quota_refused_is_tried_again_with_the_next_facts(telling: Telling) -> None:
    telling.offer({"a": 1})
    assert telling.publish(refusal(403, "quota_exceeded")) == [["nodes/c1/a"]]
    assert telling.publish() == []
    telling.offer({"a": 1})
    assert telling.publish(OK) == [["nodes/c1/a"]]
    assert telling.publisher.problems == {}


def test_a_new_incarnation_tells_everything_anew(telling: Telling, service: Service) -> None:
    telling.offer({"a": 1, "b": 2})
    telling.publish(OK)
    telling.offer({"a": 3, "b": 2})
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


def test_many_facts_make_several_batches(telling: Telling) -> None:
    telling.offer({f"n{number:03}": number for number in range(150)})
    assert [len(each) for each in telling.publish(OK, OK)] == [100, 50]


def test_large_facts_make_several_batches(telling: Telling) -> None:
    telling.offer({f"n{number}": "x" * 60_000 for number in range(20)})
    sizes = [len(each) for each in telling.publish(OK, OK, OK)]
    assert sizes == [8, 8, 4]


def test_the_report_is_told_where_it_wakes_nobody_and_once(telling: Telling) -> None:
    telling.publisher.report({"agent/state": "applied", "agent/problems": {}})
    assert telling.publish(OK) == [["results/c1/agent/state", "results/c1/agent/problems"]]
    telling.publisher.report({"agent/state": "applied", "agent/problems": {}})
    telling.publisher.report({})
    assert telling.publish() == []
