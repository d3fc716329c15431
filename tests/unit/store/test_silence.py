"""When a connection counts as lost because its server is silent."""

from __future__ import annotations

import pytest

from factstore.core.standstill import STANDSTILL_SECONDS
from factstore.store.client.silence import PING_SECONDS, PONG_SECONDS, SILENT_SECONDS, Silence

PERIOD = 0.125


@pytest.fixture
def silence() -> Silence:
    made = Silence()
    made.begin(100.0)
    return made


def test_a_server_that_answers_no_call_for_too_long_is_lost(silence: Silence) -> None:
    silence.asked = 101.0
    assert not silence.lost(101.0 + SILENT_SECONDS, busy=True)
    assert not silence.lost(102.0 + SILENT_SECONDS, busy=False), "nothing was asked"
    assert silence.lost(102.0 + SILENT_SECONDS, busy=True) == "has not answered for 3 s"
    silence.heard = 101.5
    assert not silence.lost(101.5 + SILENT_SECONDS, busy=True), "it has sent something"


def test_a_quiet_server_is_asked_once_and_lost_without_an_answer(silence: Silence) -> None:
    asked = 101.0 + PING_SECONDS
    assert not silence.needs_ping(100.0 + PING_SECONDS)
    assert silence.needs_ping(asked)
    assert not silence.needs_ping(asked + 1), "etcd allows no more questions"
    assert not silence.lost(asked + PONG_SECONDS, busy=False)
    assert silence.lost(asked + PONG_SECONDS + 1, busy=False) == ("has not answered a ping for 5 s")


def test_a_server_that_answers_a_ping_is_asked_again_when_it_is_quiet(silence: Silence) -> None:
    asked = 101.0 + PING_SECONDS
    assert silence.needs_ping(asked)
    silence.heard = asked + 1
    assert not silence.lost(asked + PONG_SECONDS + 2, busy=False)
    assert not silence.needs_ping(asked + PING_SECONDS)
    assert silence.needs_ping(asked + PING_SECONDS + 2)


def test_a_standstill_of_the_process_is_no_silence(silence: Silence) -> None:
    silence.asked = 100.0
    silence.look(100.0 + PERIOD, PERIOD)
    resumed = 100.0 + PERIOD + 2 * SILENT_SECONDS
    silence.look(resumed, PERIOD)
    assert not silence.lost(resumed, busy=True)
    assert silence.lost(resumed + 2 * SILENT_SECONDS, busy=True)


def test_a_timer_that_is_a_little_late_leaves_the_silence(silence: Silence) -> None:
    silence.look(100.0 + PERIOD + STANDSTILL_SECONDS, PERIOD)
    assert silence.heard == 100.0
