"""The parts of a batch: operations and guards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, Union

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Put:
    """An operation that stores a fact.

    :param kind: ``observed`` or ``parameter``; None for the service's default.
    :param ttl: time to live in seconds; None for a fact that does not expire.
    :param member: the member to bind the fact to.
    :param generation: put the fact only if this incarnation of a member is live.
    :param sensitive: whether the service seals the value and restricts who may see it.
    :param readers: the groups and members that may see a sensitive value, in addition to the callers
        that policy allows: ``group/NAME``, ``member/NAME``.
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
        """Return the operation as JSON."""
        return {"put": {"path": self.path, **self.body()}}

    def body(self) -> dict[str, Any]:
        """Return the body of a request that puts only this fact."""
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


@dataclass(frozen=True)
class Delete:
    """An operation that deletes a fact.  It succeeds if the fact does not exist."""

    path: str

    def document(self) -> dict[str, Any]:
        """Return the operation as JSON."""
        return {"delete": {"path": self.path}}


@dataclass(frozen=True)
class DeletePrefix:
    """An operation that deletes all facts at and below a path that no other operation names.

    It counts as one part of the batch, and so does each of the facts.
    """

    prefix: str

    def document(self) -> dict[str, Any]:
        """Return the operation as JSON."""
        return {"delete": {"prefix": self.prefix}}


@dataclass(frozen=True)
class Guard:
    """A condition on a fact.  If it is not met, the batch writes nothing."""

    path: str
    condition: tuple[str, str | bool]

    @classmethod
    def etag(cls, path: str, etag: str) -> Self:
        """Require that the fact has this etag."""
        return cls(path, ("etag", etag))

    @classmethod
    def exists(cls, path: str) -> Self:
        """Require that the fact exists."""
        return cls(path, ("exists", True))

    @classmethod
    def absent(cls, path: str) -> Self:
        """Require that the fact does not exist."""
        return cls(path, ("absent", True))

    def document(self) -> dict[str, Any]:
        """Return the guard as JSON."""
        name, value = self.condition
        return {"path": self.path, name: value}


BATCH_PARTS = 100
"""The most operations and guards in one batch."""

# The service accepts a body of 1 MiB; the rest is for the brackets between the parts.
_BATCH_BYTES = 900_000

Part = Union[Put, Delete, Guard]
Step = TypeVar("Step", bound=Sequence[Part])


def split_batches(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """Yield lists of steps, in order, each small enough for one batch.

    :param steps: sequences of parts that belong into the same batch, such as an operation and its
        guard.
    """
    batch: list[Step] = []
    parts = length = 0
    for step in steps:
        size = sum(len(json.dumps(part.document())) for part in step)
        if batch and (parts + len(step) > BATCH_PARTS or length + size > _BATCH_BYTES):
            yield batch
            batch, parts, length = [], 0, 0
        batch.append(step)
        parts += len(step)
        length += size
    if batch:
        yield batch
