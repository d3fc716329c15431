"""Turns as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factstore.api.raw_json import array_texts, object_texts
from factstore.core.model.turn import QueuedTurn
from factstore.core.model.value import encode


def turn_text(queued: QueuedTurn) -> str:
    """Return a turn as JSON."""
    turn = queued.turn
    return encode(
        {
            "queue": turn.queue,
            "member": turn.member,
            "state": "holding" if queued.holds else "waiting",
            "position": queued.position,
            "max_parallel": turn.max_parallel,
            "rank": turn.rank,
            "revision": turn.revision,
            "created_at": turn.created_at,
        }
    )


def turns_texts(turns: Iterable[QueuedTurn]) -> Iterator[str]:
    """Yield a list of turns as JSON."""
    return object_texts({}, {"turns": array_texts((turn_text(queued),) for queued in turns)})
