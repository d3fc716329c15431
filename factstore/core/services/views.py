"""Things as a state or a write has left them, with the epoch of that store.

Their entity tags are of the same store, even if another one is restored before they are sent.
"""

from __future__ import annotations

from typing import NamedTuple

from factstore.core.model.fact import Fact, Stack
from factstore.core.model.member import Member
from factstore.core.model.read_set import ReadSet
from factstore.core.model.usage import Usage


class FactView(NamedTuple):
    """A fact, and the epoch of the store in which it was found."""

    fact: Fact
    epoch: str

    @property
    def etag(self) -> str:
        """The strong entity tag, without quotes."""
        return self.fact.etag(self.epoch)


class StackView(NamedTuple):
    """A stack and its usage, and the epoch of the store in which they were found."""

    stack: Stack
    usage: Usage
    epoch: str

    @property
    def etag(self) -> str:
        """The entity tag, without its quotes; a write depends on its part before the dash."""
        return f"{self.stack.etag(self.epoch)}-{self.usage.facts}.{self.usage.bytes}"


class MemberView(NamedTuple):
    """A member, its read set if it has one, and the epoch of the store in which they were found."""

    member: Member
    read_set: ReadSet | None
    epoch: str

    @property
    def etag(self) -> str:
        """The entity tag, without its quotes; a write depends on its part before the dash."""
        etag = self.member.etag(self.epoch)
        return etag if self.read_set is None else f"{etag}-{self.read_set.digest}"
