"""The progress of a subscription after each attempt, and the pauses between attempts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import DELIVERIES_KEPT, Delivery, DeliveryKind, DeliveryState
from factstore.core.model.quick_dataclass import quick_dataclass
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


@quick_dataclass(frozen=True, slots=True)
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


class Success(NamedTuple):
    """A first attempt that succeeded, without its message, which may be large."""

    id: str
    kind: DeliveryKind
    at: str
    events: int
    status: int | None
    latency_ms: int
    cursor: Cursor | None

    @classmethod
    def of(cls, attempt: Attempt) -> Success:
        """Return what remains of an attempt."""
        message = attempt.message
        return cls(
            message.id,
            attempt.kind,
            attempt.at,
            len(message.events),
            attempt.outcome.status,
            round(attempt.seconds * 1000),
            message.cursor,
        )


def after_successes(state: DeliveryState, successes: Sequence[Success]) -> DeliveryState:
    """Return the progress after messages that were delivered at the first attempt.

    It is that of :func:`after_attempt` after each, but makes only the entries that the log keeps.
    """
    newest: list[Success] = []
    for success in successes:
        if newest and newest[-1].id == success.id:
            newest.pop()
        newest.append(success)
    log = state.log
    for success in newest[-DELIVERIES_KEPT:]:
        identifier, kind, at, events, status, latency_ms, _ = success
        entry = Delivery(identifier, kind, at, 1, events, True, status, latency_ms, None)
        log = _with_entry(log, entry)
    cursors = [each.cursor for each in successes if each.cursor is not None]
    return replace(
        state,
        log=log,
        cursor=str(cursors[-1]) if cursors else state.cursor,
        delivered=state.delivered + len(successes),
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
    """Return the log after an attempt."""
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
    return _with_entry(state.log, entry)


def _with_entry(log: tuple[str, ...], entry: Delivery) -> tuple[str, ...]:
    """Return the log with an entry, which replaces an earlier one of the same message."""
    if log and entry.id in log[0] and json.loads(log[0])["id"] == entry.id:
        log = log[1:]
    return entry.text, *log[: DELIVERIES_KEPT - 1]
