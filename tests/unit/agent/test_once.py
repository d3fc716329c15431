"""A single run of the agent, for cron."""

from __future__ import annotations

from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from factstore.agent.once import run_once
from tests.unit.agent.factories import (
    agent,
    batch,
    context,
    member,
    program,
    settings,
    write,
)
from tests.unit.client.stub import FakeClock, Service, answer, refusal

TAG = {"ETag": '"tag5"', "Factstore-Cursor": "e.5"}
CONF = "[template conf]\nsource = conf.j2\ndestination = DIR/conf\n"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    write(tmp_path / "templates" / "conf.j2", "{{ facts.ip }}\n")
    write(tmp_path / "facts.d" / "a.json", '{"cpus": 4}')
    program(
        tmp_path / "hooks.d" / "10", f"test ! -e {tmp_path}/broken; echo run >> {tmp_path}/runs"
    )
    return tmp_path


def round_of(node: Path, service: Service) -> int:
    return run_once(agent(settings(node, CONF), service))


def test_a_single_run_joins_publishes_applies_and_reports(node: Path, service: Service) -> None:
    service.will(
        answer(201, member()),
        answer(200, batch("created")),
        answer(200, context({"ip": "10.0.0.1"}).document, TAG),
        answer(200, batch("created")),
        answer(200, member(state="ready")),
        answer(204),
    )
    assert round_of(node, service) == 0
    assert (node / "conf").read_text() == "10.0.0.1\n"
    told = service.calls[3].body["operations"]
    assert told == [
        {"put": {"path": "results/c1/agent/state", "value": "applied", "member": "c1"}},
        {"put": {"path": "results/c1/agent/applying_since", "value": None, "member": "c1"}},
        {"put": {"path": "results/c1/agent/problems", "value": {}, "member": "c1"}},
    ]
    assert service.calls[4].body == {"state": "ready", "generation": "1a"}
    assert service.calls[5].body == {"generation": "1a", "applied": "e.5"}


def test_a_failed_hook_is_published_and_returned_as_a_status(node: Path, service: Service) -> None:
    program(node / "hooks.d" / "10", "exit 3")
    service.will(
        answer(201, member()),
        answer(200, batch("created")),
        answer(200, context({"ip": "10.0.0.1"}).document, TAG),
        answer(200, batch("created")),
        answer(204),
    )
    assert round_of(node, service) == 1
    assert [each["put"]["value"] for each in service.calls[3].body["operations"]] == [
        "failed",
        None,
        {"hook 10": "exited with status 3"},
    ]
    assert service.calls[4].body == {"generation": "1a"}  # nothing is applied


def test_a_run_that_takes_long_is_reported_as_applying_until_it_ends(
    node: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factstore.agent.status.APPLYING_SECONDS", 0.01)
    # The hook ends after the service has received the report.
    program(node / "hooks.d" / "10", f"while ! test -e {node}/go; do sleep 0.01; done")

    def report(handler: BaseHTTPRequestHandler) -> None:
        answer(200, batch("created"))(handler)
        (node / "go").touch()

    service.will(
        answer(201, member()),
        answer(200, batch("created")),
        answer(200, context({"ip": "10.0.0.1"}).document, TAG),
        report,
        answer(200, batch("created")),
        answer(200, member(state="ready")),
        answer(204),
    )
    assert round_of(node, service) == 0
    state, since, _ = (each["put"] for each in service.calls[3].body["operations"])
    assert (state["path"], state["value"]) == ("results/c1/agent/state", "applying")
    assert datetime.fromisoformat(since["value"]) <= datetime.now(UTC)
    changed = [each["put"]["value"] for each in service.calls[4].body["operations"]]
    assert changed == ["applied", None]


def test_the_last_context_is_applied_without_the_service(node: Path, service: Service) -> None:
    service.will(refusal(503, "unavailable"))
    assert round_of(node, service) == 4
    assert not (node / "conf").exists()
    agent(settings(node, CONF), service).reconciler.store_context(context({"ip": "10.0.0.1"}))
    for _ in range(2):
        service.will(refusal(503, "unavailable"))
        assert round_of(node, service) == 4
    assert (node / "conf").read_text() == "10.0.0.1\n"
    assert (node / "runs").read_text() == "run\n"


def test_a_single_run_waits_for_members_that_have_expired_with_it(
    node: Path, service: Service, clock: FakeClock
) -> None:
    both = {name: {"group": "node", "state": "ready", "attributes": {}} for name in ("c1", "c2")}
    before, alone = (
        context({"ip": address}, members=members)
        for address, members in (("10.0.0.1", both), ("10.0.0.2", {"c1": both["c1"]}))
    )
    agent(settings(node, CONF), service).reconciler.store_context(before)
    once = agent(settings(node, CONF), service, clock)
    full = context({"ip": "10.0.0.3"}, members=both)
    service.will(answer(201, member()), answer(200, batch("created")))
    service.will(answer(200, alone.document, TAG), answer(204))  # c2 has not joined again yet
    service.will(answer(200, batch(*["created"] * 3)), answer(200, full.document, TAG))
    service.will(answer(200, batch("updated")), answer(200, member(state="ready")), answer(204))
    assert run_once(once) == 0
    assert service.calls[4].body["operations"][0]["put"]["value"] == "waiting_for_members"
    assert (node / "conf").read_text() == "10.0.0.3\n"
    assert clock.pauses == [3.0]


def test_a_draining_member_is_not_set_ready(node: Path, service: Service) -> None:
    agent(settings(node, CONF), service).command_facts.request_state("draining")
    service.will(
        answer(201, member()),
        answer(200, batch("created")),
        answer(200, member(state="draining")),
        answer(200, context({"ip": "10.0.0.1"}).document, TAG),
        answer(200, batch("created")),
        answer(204),
    )
    assert round_of(node, service) == 0
    assert service.calls[2].body == {"state": "draining", "generation": "1a"}


def test_the_member_is_not_set_ready_if_that_is_manual(node: Path, service: Service) -> None:
    service.will(
        answer(201, member()),
        answer(200, batch("created")),
        answer(200, context({"ip": "10.0.0.1"}).document, TAG),
        answer(200, batch("created")),
        answer(204),
    )
    assert run_once(agent(settings(node, CONF, ready="manual"), service)) == 0


def test_a_result_of_a_command_is_published_beside_the_facts(node: Path, service: Service) -> None:
    agent(settings(node, CONF), service).command_facts.put("slurm.conf", "5e11", result=True)
    service.will(
        answer(201, member()),
        answer(200, batch("created")),
        answer(200, context({"ip": "10.0.0.1"}).document, TAG),
        answer(200, batch("created")),
        answer(200, member(state="ready")),
        answer(204),
    )
    assert round_of(node, service) == 0
    result = {"put": {"path": "results/c1/slurm.conf", "value": "5e11", "member": "c1"}}
    assert result in service.calls[1].body["operations"]
