"""The memory of lost attempts that a fence has."""

from __future__ import annotations

from factstore.store.attempt_fence import AttemptFence
from factstore.store.types import Fence


def test_a_lost_attempt_may_be_applied_until_its_fence_is_raised() -> None:
    fence = AttemptFence(b"fences/0", lambda known, deadline: known.revision + 5)
    assert not fence.has_lost
    sent = fence.current
    fence.lose(sent)
    assert fence.has_lost
    assert fence.raise_(0.0) == 5
    assert not fence.has_lost
    fence.lose(sent)  # another attempt that was sent before
    assert not fence.has_lost
    fence.lose(fence.current)
    assert fence.has_lost


def test_a_fence_that_another_worker_has_raised_stops_lost_attempts_too() -> None:
    fence = AttemptFence(b"fences/0", lambda known, deadline: 0)
    fence.lose(fence.current)
    fence.note(fence.current, 9)
    assert not fence.has_lost
    assert fence.current == Fence(b"fences/0", 9)


def test_a_store_in_which_nothing_can_be_written_forgets_lost_attempts() -> None:
    fence = AttemptFence(b"fences/0", lambda known, deadline: 0)
    fence.lose(fence.current)
    fence.forget_lost()
    assert not fence.has_lost
