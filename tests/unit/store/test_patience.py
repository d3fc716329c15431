"""The time that a try of a call to etcd may take."""

from __future__ import annotations

from factstore.store.client.patience import LONGEST_SECONDS, ROUNDS, Patience


def test_a_try_has_more_time_after_rounds_of_lost_ones_until_one_is_answered() -> None:
    patience = Patience(3)
    for _ in range(ROUNDS * 3 - 1):
        patience.note_loss()
    assert patience.seconds(0.5) == 0.5
    patience.note_loss()
    assert patience.seconds(0.5) == 1.0
    assert patience.tried
    patience.note_answer()
    assert patience.seconds(0.5) == 0.5
    assert not patience.tried


def test_the_time_for_a_try_is_bounded() -> None:
    patience = Patience(1)
    for _ in range(1000):
        patience.note_loss()
    assert patience.seconds(0.5) == LONGEST_SECONDS
