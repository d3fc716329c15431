"""An attempt to write that was started without waiting for it."""

from __future__ import annotations

from typing import Generic, TypeVar

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.transaction import Transaction
from factstore.core.operations.operation import Draft, Operation
from factstore.core.ports import Started

T = TypeVar("T")


@quick_dataclass(slots=True)
class Attempt(Generic[T]):
    """The first attempt of an operation.

    :param deadline: at which the operation gives up.
    :param revision: at which it is valid; None if it was not written, or if that is unknown.
    :param error: what the store reported instead of a revision; None if a guard failed.
    """

    operation: Operation[T]
    draft: Draft[T]
    transaction: Transaction
    deadline: float
    revision: int | None = None
    error: Exception | None = None
    commit: Started | None = None
