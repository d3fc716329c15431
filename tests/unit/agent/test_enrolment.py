"""Obtaining a grant from a group's, storing it and discarding it."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import pytest

from factstore.agent.agent import Agent
from factstore.agent.cli import main
from factstore.agent.config.settings import Settings
from factstore.agent.once import run_once
from factstore.agent.session.connection import Connection, open_connection
from factstore.client.errors import Forbidden, Unauthorized, Unavailable
from tests.unit.agent.factories import REAL, STACK, batch, context, member, settings, state, write
from tests.unit.client.stub import Service, answer, refusal

TAG = {"ETag": '"tag5"', "Factstore-Cursor": "e.5"}
HOUR = "2999-01-01T00:00:00.000000Z"


def grant(identity: str, **more: Any) -> dict[str, Any]:
    """Return a grant's document; by default it is the grant of group compute."""
    return {
        "id": identity,
        "role": "agent",
        "member": None,
        "group": "compute",
        "ttl": 3600,
        "created_at": "x",
        "created_by": "x",
        "expires_at": HOUR,
        **more,
    }


OWN = grant("g2", member="c1", token="g2.0wn", secret="0wn")
"""The grant that is issued from the group's."""
ENROLLING = (answer(200, grant("g1")), answer(201, OWN))


@pytest.fixture
def made(tmp_path: Path, service: Service) -> Settings:
    """Settings with a group's grant."""
    write(tmp_path / "grant", "g1.s3cret\n", 0o600)
    state(tmp_path)
    return settings(tmp_path, f"[service]\nurl = {service.url}\ngrant_file = DIR/grant\n")


def shown(service: Service) -> list[str]:
    """Return user and password of each request."""
    headers = [call.headers["Authorization"].removeprefix("Basic ") for call in service.calls]
    return [base64.b64decode(each).decode() for each in headers]


def ensured(made: Settings) -> Connection:
    connection = open_connection(made, {})
    assert connection.enrolment is not None
    connection.enrolment.ensure()
    return connection


def test_a_groups_grant_is_replaced_by_the_members_own(
    tmp_path: Path, made: Settings, service: Service
) -> None:
    service.will(*ENROLLING, answer(200, STACK))
    connection = ensured(made)
    connection.stack.describe()
    assert [call.path for call in service.calls[:2]] == [
        "/v1/stacks/slurm/grants/g1",
        "/v1/stacks/slurm/grants",
    ]
    assert service.calls[1].body == {"role": "agent", "member": "c1"}
    assert shown(service) == ["g1:s3cret", "g1:s3cret", "g2:0wn"]
    assert (tmp_path / "state" / "grant.json").stat().st_mode & 0o777 == 0o600


def test_the_members_grant_is_stored_and_used_after_a_restart(
    made: Settings, service: Service
) -> None:
    service.will(*ENROLLING)
    ensured(made)
    service.will(answer(200, STACK))
    connection = ensured(made)
    connection.stack.describe()
    assert len(service.calls) == 3
    assert shown(service)[2] == "g2:0wn"


def test_a_stored_grant_of_another_group_is_not_used(
    tmp_path: Path, made: Settings, service: Service
) -> None:
    service.will(*ENROLLING)
    ensured(made)
    write(tmp_path / "grant", "g7.s3cret", 0o600)
    service.will(answer(200, grant("g7")), answer(201, OWN))
    ensured(made)
    assert shown(service)[2:] == ["g7:s3cret"] * 2


@pytest.mark.parametrize(
    "kept", [{}, {"with": "g1"}, {"with": "g1", "token": 7}, {"with": None, "token": "g2.0wn"}]
)
def test_an_invalid_stored_grant_is_ignored(
    tmp_path: Path, made: Settings, service: Service, kept: dict[str, Any]
) -> None:
    state(tmp_path).try_write("grant", kept)
    service.will(*ENROLLING)
    ensured(made)
    assert shown(service) == ["g1:s3cret"] * 2


@pytest.mark.parametrize(
    "more", [{"member": "c1"}, {"member": "c1", "group": None}, {"role": "reader", "group": None}]
)
def test_a_members_own_grant_and_a_readers_are_used_unchanged(
    tmp_path: Path, made: Settings, service: Service, more: dict[str, Any]
) -> None:
    service.will(answer(200, grant("g1", **more)), answer(200, STACK))
    connection = ensured(made)
    assert connection.enrolment is not None
    connection.enrolment.ensure()  # the service is not asked again
    connection.stack.describe()
    assert shown(service) == ["g1:s3cret"] * 2
    assert not connection.enrolment.discard_rejected_grant()
    assert not (tmp_path / "state" / "grant.json").exists()


def test_a_grant_that_policy_does_not_let_the_agent_read_is_used_unchanged(
    made: Settings, service: Service
) -> None:
    service.will(refusal(403, "forbidden"))
    assert ensured(made).enrolment is not None
    assert len(service.calls) == 1


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([refusal(503, "unavailable")], Unavailable),
        ([refusal(401, "unauthorized")], Unauthorized),
        ([ENROLLING[0], refusal(403, "forbidden")], Forbidden),
        ([ENROLLING[0], refusal(503, "unavailable")], Unavailable),
    ],
)
def test_a_failed_enrolment_is_repeated_from_the_beginning(
    tmp_path: Path, made: Settings, service: Service, steps: list[Any], error: type[Exception]
) -> None:
    connection = open_connection(made, {})
    assert connection.enrolment is not None
    service.will(*steps)
    with pytest.raises(error):
        connection.enrolment.ensure()
    assert not (tmp_path / "state" / "grant.json").exists()
    service.will(*ENROLLING)
    connection.enrolment.ensure()
    assert connection.enrolment.grant_id == "g2"


def test_an_unwritable_state_directory_does_not_prevent_enrolment(
    tmp_path: Path, made: Settings, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").rmdir()
    service.will(*ENROLLING)
    with caplog.at_level(logging.DEBUG, "factstore"):
        connection = ensured(made)
    assert connection.enrolment is not None
    assert connection.enrolment.grant_id == "g2"
    assert "grant.json cannot be written" in caplog.text
    assert "0wn" not in caplog.text


def test_a_rejected_grant_is_replaced_and_no_secret_is_logged(
    tmp_path: Path, made: Settings, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.will(*ENROLLING)
    with caplog.at_level(logging.DEBUG, "factstore"):
        connection = ensured(made)
        assert connection.enrolment is not None
        assert connection.enrolment.discard_rejected_grant()
        assert not (tmp_path / "state" / "grant.json").exists()
        service.will(answer(200, grant("g1")), answer(201, OWN | {"token": "g2.n3w"}))
        connection.enrolment.ensure()
    service.will(answer(200, STACK))
    connection.stack.describe()
    assert shown(service)[2:] == ["g1:s3cret", "g1:s3cret", "g2:n3w"]
    assert "was rejected" in caplog.text
    for secret in ("s3cret", "0wn", "n3w"):
        assert secret not in caplog.text
        assert secret not in repr(connection)


# The agent that uses it


@pytest.fixture
def enrolled(made: Settings, service: Service) -> Agent:
    """An agent that has enrolled and joined."""
    service.will(*ENROLLING, answer(201, member()))
    one = new_agent(made)
    assert one.keep_alive()
    return one


def new_agent(made: Settings) -> Agent:
    return Agent(made, open_connection(made, {}), REAL, boot_id=lambda: "boot-1")


def test_the_agent_enrols_before_it_joins(enrolled: Agent, service: Service) -> None:
    assert shown(service) == ["g1:s3cret", "g1:s3cret", "g2:0wn"]


def test_the_member_lives_on_with_another_grant_when_its_own_is_rejected(
    enrolled: Agent, service: Service
) -> None:
    service.will(refusal(401, "unauthorized"))
    with pytest.raises(Unauthorized):  # the next attempt follows after a pause
        enrolled.keep_alive()
    assert enrolled.discard_rejected_grant()
    service.will(*ENROLLING, answer(204))
    assert not enrolled.keep_alive()
    assert service.calls[-1].path.endswith("/members/c1/heartbeat")
    assert service.calls[-1].body == {"generation": "1a"}


def test_the_groups_grant_is_used_until_it_is_rejected_too(
    enrolled: Agent, service: Service
) -> None:
    service.will(*[refusal(401, "unauthorized")] * 3)
    for discarded in (True, False, False):
        with pytest.raises(Unauthorized):
            enrolled.keep_alive()
        assert enrolled.discard_rejected_grant() == discarded
    assert shown(service)[3:] == ["g2:0wn", "g1:s3cret", "g1:s3cret"]


def test_a_single_run_enrols_again_at_once(made: Settings, service: Service) -> None:
    service.will(*ENROLLING)
    ensured(made)
    service.will(
        refusal(401, "unauthorized"),
        *ENROLLING,
        answer(200, OWN),
        answer(201, member()),
        answer(200, context({}).document, TAG),
        answer(200, batch("created")),
        answer(200, member(state="ready")),
        answer(201, {"digest": "d1"}),
        answer(204),
    )
    assert run_once(new_agent(made)) == 0
    assert not service.unexpected
    assert shown(service)[2:7] == ["g2:0wn", "g1:s3cret", "g1:s3cret", "g2:0wn", "g2:0wn"]


def test_a_single_run_ends_when_the_groups_grant_is_rejected(
    made: Settings, service: Service
) -> None:
    service.will(refusal(401, "unauthorized"))
    assert run_once(new_agent(made)) == 4


def test_the_members_own_grant_is_renewed(made: Settings, service: Service) -> None:
    whole = new_agent(made)
    service.will(*ENROLLING, answer(200, OWN | {"expires_at": "2000-01-01T00:00:00.000000Z"}))
    service.will(answer(200, OWN))
    whole.renew_grant()
    assert service.calls[-1].path == "/v1/stacks/slurm/grants/g2/renew"
    assert shown(service)[2:] == ["g2:0wn"] * 2
    assert whole.discard_rejected_grant()
    another = OWN | {"token": "g2.n3w"}
    service.will(answer(200, grant("g1")), answer(201, another), answer(200, another))
    whole.renew_grant()  # not with the terms of the former
    assert shown(service)[-1] == "g2:n3w"


def test_a_command_uses_the_stored_grant_and_leaves_enrolment_to_the_agent(
    tmp_path: Path, made: Settings, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    state(tmp_path).try_write("member", {"generation": "1a"})
    state(tmp_path).try_write("grant", {"with": "g1", "token": "g2.0wn"})
    service.will(refusal(401, "unauthorized"))
    assert main(["--config", str(made.file), "put", "services/x", "started"]) == 4
    assert "the agent will send this when it runs" in capsys.readouterr().err
    assert shown(service) == ["g2:0wn"]
    assert state(tmp_path).read("said")["facts"] == {"services/x": "started"}  # type: ignore[index]
