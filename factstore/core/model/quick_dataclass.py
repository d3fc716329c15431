"""Dataclasses that are made often, which only the type checker keeps from being changed.

Python sets each field of a frozen dataclass through ``object.__setattr__``, which takes three times as
long as an assignment, and a write makes a dozen instances.  So ``frozen=True`` has no effect here at
runtime, apart from the hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

__all__ = ["quick_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as quick_dataclass
else:

    def quick_dataclass(*, frozen: bool, slots: bool, eq: bool = True) -> Any:
        """Return the decorator for a class; its parameters are those of ``dataclass``."""
        return dataclass(slots=slots, eq=eq, unsafe_hash=frozen and eq)
