"""Where a record lies in a stack, other than a fact."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

RecordKindName = Literal["member", "applied", "waiter", "signal", "timer", "mark", "grant", "seal"]
PLACE_KINDS: tuple[RecordKindName, ...] = get_args(RecordKindName)
COUNTED: tuple[RecordKindName, ...] = ("member", "waiter", "signal", "grant")
"""Each of them counts as a fact."""


class RecordKey(NamedTuple):
    """What kind of record, and under which name; a signal's is its waiter's, ``/`` and its key."""

    kind: RecordKindName
    name: str
