"""The tasks of the running agent, run by hand, with a service that answers from a script."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from factstore.agent.agent import Agent
from factstore.agent.apply.errors import FilesSettling
from factstore.agent.daemon import Daemon
from factstore.agent.session.connection import open_connection
from tests.unit.agent.factories import agent, batch, context, member, settings, write
from tests.unit.client.deltas import delta
from tests.unit.client.stub import FakeClock, Service, answer, hang_up, refusal

TAG = {"ETag": '"tag5"', "Factstore-Cursor": "e.5"}
DOCUMENT = context({"a": 1}).document


class Running:
    """A daemon whose workers do one step at a time."""

    def __init__(self, made: Callable[[], Agent], clock: FakeClock, valid: bool = True) -> None:
        self.agent = made()
        self.daemon = Daemon(
            lambda should_stop: self.agent, {}, clock, lambda: valid, jitter=lambda: 0.5
        )

    def heartbeat(self) -> float:
        """Run the heartbeat; return the seconds until the next one."""
        session = self.daemon._session
        session.request(self.daemon._heartbeat_task)
        return session.run_due()

    def poll(self) -> None:
        self.daemon._watch.request(self.daemon._watch_task)
        self.daemon._watch.run_due()

    def applied_in(self) -> float:
        """Return the seconds until a context is applied."""
        self.daemon._apply_task.action = lambda: None
        return self.daemon._main.run_due()


@pytest.fixture
def running(tmp_path: Path, service: Service, clock: FakeClock) -> Running:
    made = settings(tmp_path, f"[service]\nurl = {service.url}\n[react]\nsplay = 60\n")
    return Running(lambda: agent(made, service, clock), clock)


def test_three_heartbeats_are_sent_in_a_ttl(running: Running, service: Service) -> None:
    service.will(answer(201, member()), answer(204))
    assert running.heartbeat() == 10.0
    assert running.heartbeat() == 10.0


def test_heartbeats_are_repeated_soon_during_an_outage(running: Running, service: Service) -> None:
    service.will(answer(201, member()))
    running.heartbeat()
    service.will(refusal(503, "unavailable"), hang_up, *[refusal(503, "unavailable")] * 8)
    pauses = [running.heartbeat() for _ in range(10)]
    assert 0.5 <= pauses[0] <= 1.0
    assert max(pauses) <= 10.0


def test_the_stored_context_is_applied_during_an_outage_at_the_start(
    tmp_path: Path, service: Service, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    made = settings(tmp_path, f"[service]\nurl = {service.url}\n")
    agent(made, service, clock).reconciler.store_context(context({"a": 1}))
    running = Running(lambda: agent(made, service, clock), clock)
    service.will(*[refusal(503, "unavailable")] * 2)
    with caplog.at_level(logging.INFO, "factstore"):
        for _ in range(2):
            running.heartbeat()
            running.daemon._main.run_due()
    assert running.agent.reconciler.applied_cursor == "e.5"
    assert caplog.text.count("continuing with the stored context e.5") == 1


def test_only_a_changed_context_is_splayed(running: Running, service: Service) -> None:
    service.will(answer(201, member()), answer(200, DOCUMENT, TAG))
    running.heartbeat()
    running.daemon._watch.run_due()  # requested by the join
    assert running.applied_in() == float("inf")  # it was applied at once
    service.will(answer(200, delta(DOCUMENT, "e.6", facts={"a": 2})))
    running.poll()
    assert running.applied_in() == 30.0


def test_a_file_that_is_held_back_is_written_later(
    running: Running, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settling(*_: object, **_options: object) -> bool:
        raise FilesSettling(7.5)

    monkeypatch.setattr(running.agent, "apply", settling)
    service.will(answer(201, member()), answer(200, DOCUMENT, TAG))
    running.heartbeat()
    running.daemon._watch.run_due()
    running.daemon._main.run_due()
    assert running.daemon._main.run_due() == 7.5


def test_the_watch_waits_until_the_agent_has_joined(running: Running, service: Service) -> None:
    running.poll()
    assert service.calls == []


def test_the_next_request_for_changes_reports_what_was_applied(
    running: Running, service: Service
) -> None:
    service.will(answer(201, member()), answer(200, DOCUMENT, TAG))
    running.heartbeat()
    watch = running.daemon._watch
    assert watch.run_due() > 0  # the context is being applied
    service.will(answer(200, batch(*["created"] * 3)), answer(200, member()))
    for _ in range(2):
        running.daemon._main.run_due()
    heartbeats: list[float] = []

    def publish_meanwhile(handler: BaseHTTPRequestHandler) -> None:
        running.daemon._publish()  # this poll cannot report any more what is applied now
        heartbeats.append(running.daemon._session.run_due())
        answer(200, delta(DOCUMENT, "e.6"))(handler)

    service.will(answer(200, {"digest": "12ab"}), publish_meanwhile, answer(204))
    watch.run_due()
    assert heartbeats
    paths = [(call.method, call.path.rpartition("/")[2]) for call in service.calls[-2:]]
    assert paths == [("GET", "context"), ("POST", "heartbeat")]
    assert service.calls[-2].query["applied"] == "e.5"
    assert service.calls[-2].headers["Factstore-Generation"]


def test_a_context_without_the_former_members_waits_after_an_outage(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    made = settings(tmp_path, f"[service]\nurl = {service.url}\n[react]\nrejoin_grace = 20\n")
    members = {name: {"group": "node", "state": "ready", "attributes": {}} for name in ("c1", "c2")}
    agent(made, service, clock).reconciler.store_context(context({"a": 1}, members=members))
    running = Running(lambda: agent(made, service, clock), clock)
    alone = {**DOCUMENT, "members": {"c1": members["c1"]}}
    service.will(answer(201, member()), answer(200, alone, TAG))
    running.heartbeat()
    running.daemon._watch.run_due()
    service.will(answer(200, batch(*["created"] * 3)))  # the agent's state and problems
    running.daemon._main.run_due()
    assert running.daemon._main.run_due() == 20.0
    assert running.agent.status.results()["agent/state"] == "waiting_for_members"
    clock.now += 20.0
    running.daemon._main.run_due()
    assert running.agent.reconciler.applied_cursor == "e.5"


@pytest.mark.parametrize("valid", [True, False])
def test_a_reload_needs_a_valid_configuration(
    tmp_path: Path, service: Service, clock: FakeClock, valid: bool
) -> None:
    made = settings(tmp_path, f"[service]\nurl = {service.url}\n")
    running = Running(lambda: agent(made, service, clock), clock, valid)
    running.daemon._main.request(running.daemon._reload_task)
    running.daemon._main.run_due()
    assert running.daemon.reload == valid


def test_a_changed_credential_is_loaded_after_the_service_has_rejected_the_former(
    tmp_path: Path, service: Service, clock: FakeClock
) -> None:
    write(tmp_path / "grant", "g1.s3cret\n", 0o600)
    made = settings(tmp_path, f"[service]\nurl = {service.url}\ngrant_file = DIR/grant\n")
    running = Running(lambda: Agent(made, open_connection(made, {}), clock), clock)
    for expected in (False, True):
        service.will(refusal(401, "unauthorized"))
        running.heartbeat()
        assert running.daemon.reload == expected
        write(tmp_path / "grant", "g2.s3cret\n", 0o600)
