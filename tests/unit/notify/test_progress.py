"""Tests of the progress of subscriptions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import DeliveryKind, DeliveryState
from factstore.core.model.subscription import SubscriptionState
from factstore.notify import messages
from factstore.notify.messages import CHANGE, CloudEvent, Message
from factstore.notify.progress import (
    Attempt,
    after_attempt,
    after_test,
    has_failed_for,
    in_state,
    later,
    pause_after,
)
from factstore.notify.targets.base import Outcome

CURSOR = Cursor("0" * 16, 5)
NEW = DeliveryState("s", 0, 0, str(CURSOR), 0, 0, 0, None, None, None, ())
CHALLENGE = messages.challenge("s", "text")
EVENT = CloudEvent(CHANGE, "s.6", "/v1/stacks/a", "{}", CURSOR)


def failed(event: CloudEvent, kind: DeliveryKind) -> Attempt:
    return Attempt(
        Message((event,)), kind, "2026-01-01T00:00:00.000000Z", 0.1, Outcome(500, "failed")
    )


def test_failed_challenges_do_not_count_for_a_subscription_that_was_confirmed_by_hand() -> None:
    pending = after_attempt(NEW, failed(CHALLENGE, "challenge"))
    assert in_state(pending, "pending") == pending
    tested = after_test(pending, failed(messages.test("s", 1), "test"), 1)
    for progress in pending, tested:
        active = in_state(progress, "active")
        assert (active.attempts, active.failing_since, active.failed) == (0, None, 1)


@pytest.mark.parametrize("state", ["paused", "suspended", "disabled"])
def test_failures_count_until_the_delivery_ends(state: SubscriptionState) -> None:
    failing = after_attempt(NEW, failed(EVENT, "events"))
    assert in_state(failing, "active") == failing
    assert (in_state(failing, state).attempts, in_state(failing, state).failing_since) == (0, None)


def test_a_target_fails_for_days_only_if_it_was_tried_all_the_time() -> None:
    days, failure = 3 * 24 * 3600.0, failed(EVENT, "events")
    state, at = after_attempt(NEW, failure), failure.at
    # The clock was set, or no notifier ran: the next attempt seems to be much later.
    again = after_attempt(state, replace(failure, at=later(at, 30 * days)))
    assert not has_failed_for(again, later(at, 30 * days), days)
    for jitter in 0.0, 1.0:
        state, now = after_attempt(NEW, failure), 0.0
        while not has_failed_for(state, later(at, now), days):
            now += pause_after(state.attempts, lambda jitter=jitter: jitter)
            state = after_attempt(state, replace(failure, at=later(at, now)))
        assert days <= now < days + 3600
    assert not has_failed_for(NEW, at, days)
