"""The responses to attempts, each of which has a fence."""

from __future__ import annotations

from typing import Any

from factstore.store.types import Fence, Fenced


def read_attempt(answer: Any, count: int, fence: Fence) -> tuple[list[bool], int]:
    """Return which transactions of an attempt succeeded, and the revision.

    :param count: the number of transactions.
    :raises Fenced: the fence was raised before; none was applied.
    """
    if count == 1:
        if not answer.succeeded and (found := found_revision(answer)) != fence.revision:
            raise Fenced(found)
        return [bool(answer.succeeded)], int(answer.header.revision)
    inner = answer.responses[0].response_txn
    if not inner.succeeded:
        raise Fenced(found_revision(inner))
    succeeded = [bool(each.response_txn.succeeded) for each in inner.responses]
    return succeeded, int(answer.header.revision)


def found_revision(answer: Any) -> int:
    """Return the revision of the fence that a transaction whose compares failed has read."""
    kvs = answer.responses[0].response_range.kvs
    return int(kvs[0].mod_revision) if kvs else 0
