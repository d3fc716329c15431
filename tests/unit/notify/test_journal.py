"""Tests of the progress in memory, to which successes are added late."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal
from unittest.mock import Mock

from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.cursor import Cursor
from factstore.core.model.delivery import DELIVERIES_KEPT, DeliveryState, Owner
from factstore.notify import journal
from factstore.notify.journal import SAVE_SECONDS, Journal, SavePace
from factstore.notify.messages import CHANGE, CloudEvent, Message
from factstore.notify.progress import Attempt, after_attempt
from factstore.notify.targets.base import Outcome
from tests.unit.core.factories import SCOPE, ManualClock

FIRST = DeliveryState("s", 0, 0, str(Cursor("0" * 16, 1)), 0, 0, 0, None, None, None, ())
Step = tuple[Literal["delivered", "failed", "moved", "read", "replayed"], int]


def attempt(number: int, error: str | None = None) -> Attempt:
    """Return an attempt to deliver a message; some messages move nothing."""
    cursor = Cursor("0" * 16, number) if number % 5 else None
    message = Message((CloudEvent(CHANGE, f"s.{number // 2}", "/v1/stacks/a", "{}", cursor),))
    at = f"2026-01-01T00:00:{number % 60:02}.000000Z"
    return Attempt(message, "events", at, number / 7, Outcome(200 if error is None else 500, error))


def new_journal(clock: ManualClock) -> Journal:
    return Journal(Mock(), clock, SavePace(), SCOPE, Owner("s", "n"), FIRST)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["delivered"] * 6 + ["failed", "moved", "read", "replayed"]),
            st.integers(2, 90),
        ),
        max_size=2 * DELIVERIES_KEPT,
    ),
    st.sampled_from([3, journal.SUCCESSES_KEPT]),
)
def test_the_progress_is_that_after_each_attempt(steps: list[Step], kept: int) -> None:
    made, expected, position = new_journal(ManualClock()), FIRST, 100
    usual, journal.SUCCESSES_KEPT = journal.SUCCESSES_KEPT, kept
    try:
        for what, number in steps:
            if what == "moved":
                position += number
                cursor = Cursor("0" * 16, position)
                made.move(cursor)
                expected = replace(expected, cursor=str(cursor))
            elif what == "read":
                assert made.progress == expected
            elif what == "replayed":
                subscription = Mock(replays=number, start=str(Cursor("0" * 16, number)))
                made.replay(subscription)
                expected = replace(expected, replays=number, cursor=subscription.start, attempts=0)
            else:
                made_attempt = attempt(number, "failed" if what == "failed" else None)
                made.record(made_attempt)
                expected = after_attempt(expected, made_attempt)
            assert (made.attempts, made.replays) == (expected.attempts, expected.replays)
        assert made.progress == expected
    finally:
        journal.SUCCESSES_KEPT = usual


def test_a_success_is_written_soon_and_a_mere_move_late() -> None:
    clock = ManualClock()
    made = new_journal(clock)
    assert made.due_in() == math.inf
    made.move(Cursor("0" * 16, 2))
    assert made.due_in() == journal.IDLE_SAVE_SECONDS
    made.record(attempt(3))
    clock.now += SAVE_SECONDS / 2
    assert made.due_in() == SAVE_SECONDS / 2
    assert not made.is_saved
    made.save(Mock(revision=1))
    written = made._transactor.run.call_args[0][0]  # type: ignore[attr-defined]
    assert (written.delivery.delivered, len(written.delivery.log)) == (1, 1)
    assert (made.is_saved, made.due_in()) == (True, math.inf)
