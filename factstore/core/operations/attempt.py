"""An attempt to write that was started without waiting for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from factstore.core.model.transaction import Transaction
from factstore.core.operations.operation import Draft, Operation
from factstore.core.ports import StartedCommit

T = TypeVar("T")


@dataclass(slots=True)
class Attempt(Generic[T]):
    """The first attempt of an operation.

    :param deadline: at which the operation gives up.
    :param revision: at which it was written; None if it was not, or if that is unknown.
    :param error: what the store reported instead of a revision; None if a guard failed.
    """

    operation: Operation[T]
    draft: Draft[T]
    transaction: Transaction
    deadline: float
    revision: int | None = None
    error: Exception | None = None
    commit: StartedCommit | None = None
