"""The calls with which batches of transactions are sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from factstore.store.client import Failure
from factstore.store.types import AnyTxn, Fence, Fenced

TransactAll = Callable[[Sequence[AnyTxn], float, Fence], tuple[list[bool], int]]
"""Sends transactions as one until a deadline, and returns those that succeeded, and the revision."""

Outcome = tuple[list[bool], int] | Failure | Fenced
"""The transactions that succeeded and the revision, or the failure of all."""

BatchEnded = Callable[[Outcome], object]


class Loop(Protocol):
    """Sends transactions without waiting; see :class:`~factstore.store.client.LoopClient`."""

    def defer(self, call: Callable[[], object]) -> None:
        """Call a function in the next turn of the loop."""

    def transact_all(
        self, txns: Sequence[AnyTxn], deadline: float, fence: Fence, ended: BatchEnded
    ) -> bool:
        """Start to send transactions as one; return False if that is not possible."""
