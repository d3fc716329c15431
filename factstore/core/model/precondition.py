"""A condition on a resource that must be met for a write."""

from __future__ import annotations

from factstore.core.errors import PreconditionFailed
from factstore.core.model.quick_dataclass import quick_dataclass


@quick_dataclass(frozen=True, slots=True)
class Precondition:
    """A condition on one resource.

    :param tags: the resource must have one of these entity tags; None for any.
    :param exists: True if the resource must exist, False if it must not exist, None for either.
    """

    tags: frozenset[str] | None = None
    exists: bool | None = None

    def check(self, what: str, etag: str | None, **extra: object) -> None:
        """Check the precondition against the current resource.

        :param what: names the resource in the error, such as ``fact 'a'``.
        :param etag: the current entity tag; None if the resource does not exist.
        :raises PreconditionFailed: with the current etag, or None, in ``extra['etag']``.
        """
        if self.exists is False and etag is not None:
            state = "already exists"
        elif (self.exists or self.tags is not None) and etag is None:
            state = "does not exist"
        elif self.tags is not None and etag not in self.tags:
            state = "has changed"
        else:
            return
        current = f'; its current etag is "{etag}"' if etag else ""
        raise PreconditionFailed(
            f"The {what} {state}{current}. Read it and decide again.", extra={**extra, "etag": etag}
        )


ANY = Precondition()
EXISTS = Precondition(exists=True)
ABSENT = Precondition(exists=False)
