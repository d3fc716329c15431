"""A condition on a fact that must be met for a write."""

from __future__ import annotations

from dataclasses import dataclass

from factstore.core.errors import PreconditionFailed
from factstore.core.model.fact import Fact
from factstore.core.model.path import quoted


@dataclass(frozen=True, slots=True)
class Precondition:
    """A condition on the fact at a path.

    :param tags: the fact must have one of these entity tags; None for any.
    :param exists: True if the fact must exist, False if it must not exist, None for either.
    """

    tags: frozenset[str] | None = None
    exists: bool | None = None

    def check(self, path: str, fact: Fact | None, epoch: str) -> None:
        """Check the precondition against the current fact.

        :raises PreconditionFailed: with the current etag, or None, in ``extra['etag']``.
        """
        etag = fact.etag(epoch) if fact else None
        if self.exists is False and fact:
            raise self._failed(path, f"The fact {quoted(path)} already exists", etag)
        if (self.exists or self.tags is not None) and not fact:
            raise self._failed(path, f"The fact {quoted(path)} does not exist", etag)
        if self.tags is not None and etag not in self.tags:
            raise self._failed(path, f"The fact {quoted(path)} has changed", etag)

    @staticmethod
    def _failed(path: str, state: str, etag: str | None) -> PreconditionFailed:
        current = f'; its current etag is "{etag}"' if etag else ""
        return PreconditionFailed(
            f"{state}{current}. Read it and decide again.", extra={"path": path, "etag": etag}
        )


ANY = Precondition()
EXISTS = Precondition(exists=True)
ABSENT = Precondition(exists=False)
