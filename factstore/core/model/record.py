"""Records: what a stack contains beside its facts."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, TypeVar

from factstore.core.model.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record of a stack other than a fact; its classes are immutable dataclasses.

    The class of a record is its kind.  The store has a row with the stored form of each kind, in
    :mod:`factstore.store.record_formats`.

    :param revision: the revision that last changed it; 0 before it is stored.
    :param lease: the store's lease that it is attached to; 0 for none.
    :cvar silent: True if changes of such records wake no reader of the stack.
    """

    silent: ClassVar[bool] = False

    revision: int = 0
    lease: int = 0

    @property
    def record_key(self) -> RecordKey:
        """The key of the record in its stack."""
        raise NotImplementedError

    @property
    def size(self) -> int | None:
        """The bytes that count towards quotas; None if records of this kind do not count."""
        return None

    @property
    def is_item(self) -> bool:
        """True if the record counts as a fact towards quotas, if it counts at all."""
        return True


R = TypeVar("R", bound=Record)


class RecordKey(NamedTuple):
    """The kind and the name of a record.

    The name of a signal consists of the name of its waiter, ``/`` and a hash of the signal's id.
    """

    kind: type[Record]
    name: str
