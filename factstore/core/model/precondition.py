"""What a caller may demand of a fact before changing it."""

from __future__ import annotations

from dataclasses import dataclass

from factstore.core.errors import PreconditionFailed
from factstore.core.model.fact import Fact
from factstore.core.model.path import quoted


@dataclass(frozen=True, slots=True)
class Precondition:
    """A demand on the fact at a path.

    :param tags: the entity tags it may have; None makes no demand on them.
    :param exists: True demands a fact, False demands none, None neither.
    """

    tags: frozenset[str] | None = None
    exists: bool | None = None

    def check(self, path: str, fact: Fact | None, epoch: str) -> None:
        """Judge.

        :raises PreconditionFailed: with the present etag, or None, in ``extra['etag']``.
        """
        etag = fact.etag(epoch) if fact else None
        if self.exists is False and fact:
            raise self._failed(path, f"there is a fact at {quoted(path)} already", etag)
        if (self.exists or self.tags is not None) and not fact:
            raise self._failed(path, f"there is no fact at {quoted(path)}", etag)
        if self.tags is not None and etag not in self.tags:
            raise self._failed(path, f"the fact at {quoted(path)} has changed", etag)

    @staticmethod
    def _failed(path: str, what: str, etag: str | None) -> PreconditionFailed:
        known = f'its etag is now "{etag}"' if etag else "it has no etag"
        return PreconditionFailed(
            f"{what}; {known}. Read it again and decide anew.", extra={"path": path, "etag": etag}
        )


ANY = Precondition()
EXISTS = Precondition(exists=True)
ABSENT = Precondition(exists=False)
