"""A long outage leaves few lines in the log."""

from __future__ import annotations

import logging

import pytest

from factstore.core.services.outage_log import OutageLog


def test_an_outage_logs_its_first_failure_one_a_minute_and_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    log = OutageLog(logging.getLogger("test"), lambda: now)
    log.succeeded("it works again")
    for now in range(100, 250):
        log.failed("it fails at %d", now)
    log.succeeded("it works again")
    log.succeeded("it works again")
    assert caplog.messages == [
        "it fails at 100",
        "it fails at 160",
        "it fails at 220",
        "it works again",
    ]


def test_failures_between_successes_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    log = OutageLog(logging.getLogger("test"), lambda: now)
    for now in range(61):
        log.failed("it fails at %d", now)
        log.succeeded("it works again")
    pair = ["it fails at {}", "it works again"]
    assert caplog.messages == [text.format(n) for n in (0, 60) for text in pair]
