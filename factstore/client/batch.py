"""The parts of a batch: operations and guards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Put:
    """Store a fact.

    :param kind: ``observed`` or ``parameter``; None for the service's default.
    :param ttl: seconds it lives; None for a fact that stays.
    :param member: the member with which it goes.
    :param generation: only if this incarnation of a member lives.
    :param sensitive: whether the service seals the value and shows it to few.
    :param readers: who may see a sensitive value, beside those whom the service's policy lets:
        ``group/NAME``, ``member/NAME``.
    """

    path: str
    value: Any = field(repr=False)
    kind: str | None = None
    ttl: int | None = None
    member: str | None = None
    generation: str | None = None
    sensitive: bool = False
    readers: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """The operation as JSON."""
        return {"put": {"path": self.path, **self.body()}}

    def body(self) -> dict[str, Any]:
        """The fact as the body of a write of its own."""
        body: dict[str, Any] = {"value": self.value}
        if self.kind is not None:
            body["kind"] = self.kind
        if self.ttl is not None:
            body["ttl"] = self.ttl
        if self.member is not None:
            body["member"] = self.member
        if self.generation is not None:
            body["generation"] = self.generation
        if self.sensitive:
            body["sensitive"] = True
        if self.readers:
            body["readers"] = list(self.readers)
        return body


@dataclass(frozen=True, slots=True)
class Delete:
    """Have no fact at a path; that there is none already is no failure."""

    path: str

    def document(self) -> dict[str, Any]:
        """The operation as JSON."""
        return {"delete": {"path": self.path}}


@dataclass(frozen=True, slots=True)
class Guard:
    """A demand on a fact, without which a batch writes nothing.  Build it by what it demands."""

    path: str
    demand: tuple[str, str | bool]

    @classmethod
    def etag(cls, path: str, etag: str) -> Self:
        """The fact still has this etag."""
        return cls(path, ("etag", etag))

    @classmethod
    def exists(cls, path: str) -> Self:
        """There is a fact."""
        return cls(path, ("exists", True))

    @classmethod
    def absent(cls, path: str) -> Self:
        """There is no fact."""
        return cls(path, ("absent", True))

    def document(self) -> dict[str, Any]:
        """The guard as JSON."""
        name, value = self.demand
        return {"path": self.path, name: value}
