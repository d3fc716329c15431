"""Turns as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from factstore.core.model.turn import QueuedTurn
from factstore.core.model.value import encode


def turn_text(queued: QueuedTurn) -> str:
    """Return a turn as JSON."""
    return encode(_fields(queued))


def turns_text(turns: Iterable[QueuedTurn]) -> str:
    """Return a list of turns as JSON."""
    return encode({"turns": [_fields(queued) for queued in turns]})


def _fields(queued: QueuedTurn) -> dict[str, object]:
    turn = queued.turn
    return {
        "queue": turn.queue,
        "member": turn.member,
        "state": "holding" if queued.holds else "waiting",
        "position": queued.position,
        "max_parallel": turn.max_parallel,
        "rank": turn.rank,
        "revision": turn.revision,
        "created_at": turn.created_at,
    }
