"""The key of a record in its stack, other than a fact."""

from __future__ import annotations

from typing import Literal, NamedTuple

RecordKindName = Literal["member", "applied", "waiter", "signal", "timer", "mark", "grant", "seal"]


class RecordKey(NamedTuple):
    """The kind and the name of a record.

    The name of a signal consists of the name of its waiter, ``/`` and a hash of the signal's id.
    """

    kind: RecordKindName
    name: str
