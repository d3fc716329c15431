"""The grace period in which a context without the former members is not applied."""

from __future__ import annotations

import logging
from collections.abc import Collection

import pytest

from factstore.agent.session.rejoin_grace import RejoinGrace
from factstore.client import Context
from tests.unit.agent.factories import context
from tests.unit.client.stub import FakeClock


def having(members: str, silent: Collection[str] = (), state: str = "ready") -> Context:
    """Return a context with members, each of which has facts unless it is in *silent*."""
    nodes = {name: {"ip": "10.0.0.1"} for name in members if name not in silent}
    return context({"nodes": nodes}, members={name: {"state": state} for name in members})


@pytest.fixture
def grace(clock: FakeClock) -> RejoinGrace:
    """A grace period of 60 seconds, and heartbeats every 10 seconds; the last context has abc."""
    made = RejoinGrace(60.0, 10.0, clock.monotonic, having("abc"))
    made.heartbeat_succeeded()
    return made


def test_members_that_are_missing_without_an_interruption_are_not_waited_for(
    grace: RejoinGrace, clock: FakeClock
) -> None:
    grace.request_failed()
    clock.now += 2.9
    grace.request_succeeded()
    clock.now += 10.0
    grace.heartbeat_succeeded()
    assert grace.pause(having("a")) == 0


def test_a_context_that_arrived_during_a_suspension_waits_too(
    grace: RejoinGrace, clock: FakeClock
) -> None:
    grace.begin()
    grace.applied(having("abcd"))
    clock.now += 45.0
    assert grace.pause(having("abc")) == 60


@pytest.mark.parametrize("failing", [True, False])
def test_after_an_interruption_members_have_time_to_join_again(
    grace: RejoinGrace, clock: FakeClock, failing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if failing:  # else the machine was suspended
        grace.request_failed()
    clock.now += 45.0
    grace.heartbeat_succeeded()
    assert grace.pause(having("a")) == 60
    assert grace.missing == ("b", "c")
    clock.now += 20.0
    assert (
        grace.pause(having("abc", silent="c")) == 40
    )  # c has joined and not published its facts yet
    assert grace.problems == {"members": "waiting for c to join again"}
    with caplog.at_level(logging.INFO, "factstore"):
        assert grace.pause(having("abc")) == 0
    assert "all members of the last context have joined again" in caplog.text
    assert grace.problems == {}


def test_a_context_is_applied_without_members_when_the_grace_period_is_over(
    grace: RejoinGrace, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    grace.begin()
    assert grace.pause(having("bc")) == 60
    for _ in range(6):
        clock.now += 10.0
        grace.heartbeat_succeeded()
    assert grace.pause(having("bc")) == 0
    assert "applying context e.5 without a" in caplog.text
    grace.applied(having("bc"))
    grace.begin()
    assert grace.pause(having("bc")) == 0


def test_repeated_interruptions_do_not_extend_the_wait_without_limit(
    grace: RejoinGrace, clock: FakeClock
) -> None:
    started, context = clock.now, having("a")
    grace.begin()
    while grace.pause(context):
        clock.now += 30.0
        grace.begin()
    assert clock.now - started == 180.0


def test_members_that_join_after_an_interruption_are_not_waited_for(grace: RejoinGrace) -> None:
    grace.begin()
    assert grace.pause(having("abcd")) == 0
    grace.applied(having("abcd"))
    assert grace.pause(having("abc")) == 0  # d has failed
    assert grace.pause(having("ab")) > 0  # c may not have had time to send a heartbeat


def test_a_draining_member_is_not_waited_for(grace: RejoinGrace) -> None:
    grace.begin()
    assert grace.pause(having("abc", state="draining")) == 0
    assert grace.pause(having("a")) == 0
    grace.applied(having("abc", state="draining"))
    grace.begin()
    assert grace.pause(having("a")) == 0
