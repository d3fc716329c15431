"""The progress of a subscription after each attempt, and the pauses between attempts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from factstore.core.model.delivery import DELIVERIES_KEPT, Delivery, DeliveryKind, DeliveryState
from factstore.core.model.subscription import SubscriptionState
from factstore.notify.messages import Message
from factstore.notify.targets.base import Outcome

FIRST_PAUSE = 1.0  # seconds
LONGEST_PAUSE = 3600.0


def pause_after(attempts: int, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds until the next attempt: doubled each time, and shortened by up to half.

    :param attempts: the number of attempts that have failed.
    """
    full = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 32))
    return full * (1 - jitter() / 2)


def later(timestamp: str, seconds: float) -> str:
    """Return a timestamp some seconds after another."""
    then = datetime.fromisoformat(timestamp) + timedelta(seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds between two timestamps."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def has_failed_for(state: DeliveryState, at: str, seconds: float) -> bool:
    """Return True if a target has failed for some seconds before an attempt, which is in *state*.

    It must have failed half as often as the longest pauses allow: clocks jump, and a target does not
    fail while no notifier runs.
    """
    if state.failing_since is None or state.attempts < seconds / (2 * LONGEST_PAUSE):
        return False
    return seconds_between(state.failing_since, at) >= seconds


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to deliver a message.

    :param at: when it began, as a timestamp.
    :param seconds: its duration.
    """

    message: Message
    kind: DeliveryKind
    at: str
    seconds: float
    outcome: Outcome


def after_attempt(state: DeliveryState, attempt: Attempt) -> DeliveryState:
    """Return the progress after an attempt that belongs to the order of the events, or a challenge."""
    attempts, delivered = state.attempts + 1, attempt.outcome.error is None
    log = _log(state, attempt, attempts)
    if not delivered:
        return replace(
            state,
            log=log,
            failed=state.failed + 1,
            attempts=attempts,
            failing_since=state.failing_since or attempt.at,
            last_error=attempt.outcome.error,
        )
    cursor = attempt.message.cursor
    return replace(
        state,
        log=log,
        cursor=str(cursor) if cursor else state.cursor,
        delivered=state.delivered + 1,
        attempts=0,
        failing_since=None,
        next_attempt_at=None,
    )


def after_fault(state: DeliveryState, at: str, error: Exception) -> DeliveryState:
    """Return the progress after the notifier failed to make or to send a message."""
    return replace(
        state,
        failed=state.failed + 1,
        attempts=state.attempts + 1,
        failing_since=state.failing_since or at,
        last_error=f"the notifier failed: {type(error).__name__}; its log has the details",
    )


def after_test(state: DeliveryState, attempt: Attempt, number: int) -> DeliveryState:
    """Return the progress after a test message, which is sent once and moves nothing."""
    return replace(state, log=_log(state, attempt, 1), tests=number)


def in_state(state: DeliveryState, subscription: SubscriptionState) -> DeliveryState:
    """Return the progress of a subscription in a state.

    When it is resumed, or confirmed by hand, the target has the whole time again: earlier failures,
    such as those of challenges, do not count.
    """
    if not state.attempts or subscription == "pending":
        return state
    if subscription == "active" and not _challenged(state):
        return state
    return replace(state, attempts=0, failing_since=None, next_attempt_at=None)


def _challenged(state: DeliveryState) -> bool:
    """Return True if the last message was a challenge, apart from tests."""
    kinds = (json.loads(text)["kind"] for text in state.log)
    return next((kind for kind in kinds if kind != "test"), None) == "challenge"


def _log(state: DeliveryState, attempt: Attempt, attempts: int) -> tuple[str, ...]:
    """Return the log after an attempt, which replaces an earlier one of the same message."""
    entry = Delivery(
        id=attempt.message.id,
        kind=attempt.kind,
        at=attempt.at,
        attempts=attempts,
        events=len(attempt.message.events),
        delivered=attempt.outcome.error is None,
        status=attempt.outcome.status,
        latency_ms=round(attempt.seconds * 1000),
        error=attempt.outcome.error,
    )
    log = state.log
    if log and entry.id in log[0] and json.loads(log[0])["id"] == entry.id:
        log = log[1:]
    return entry.text, *log[: DELIVERIES_KEPT - 1]
