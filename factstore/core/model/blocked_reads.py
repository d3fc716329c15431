"""Blocked reads: requests that wait for a fact that does not exist, as one worker shares them."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.wait import Party

ENTRIES = 500
"""The blocked reads of a stack that a worker shares; others are counted."""
TEXT_LENGTH = 64 * 1024  # characters of the names in a record


class BlockedRead(NamedTuple):
    """The requests of one reader that wait for the same path.

    :param since: ISO 8601 in UTC.
    :param requests: their number.
    """

    reader: Party
    path: str
    since: str
    requests: int = 1


@quick_dataclass(frozen=True, slots=True)
class BlockedReads(Record):
    """The blocked reads of a stack at one worker.

    :param worker: the worker's id.
    :param omitted: the number of blocked reads that are not among the entries.
    :param lease: the worker's, so that the record ends with the worker.
    """

    silent: ClassVar[bool] = True

    worker: str
    entries: tuple[BlockedRead, ...]
    omitted: int

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        return RecordKey(BlockedReads, self.worker)


def shortened(found: list[BlockedRead]) -> tuple[tuple[BlockedRead, ...], int]:
    """Return the oldest blocked reads that fit into a record, and the number of the others."""
    kept: list[BlockedRead] = []
    length = 0
    for read in sorted(found, key=lambda read: (read.since, read)):
        length += len(read.path) + len(read.reader.name) + len(read.since)
        if len(kept) == ENTRIES or length > TEXT_LENGTH:
            break
        kept.append(read)
    return tuple(kept), len(found) - len(kept)
