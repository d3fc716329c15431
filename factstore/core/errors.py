"""Everything the domain refuses, each with a stable code.

The tree::

    FactstoreError
    ├── Invalid                 the request can never be right
    ├── TooLarge                over a size limit
    ├── Forbidden               the caller may not
    ├── NotFound                missing, or somebody else's: the same answer
    ├── Conflict                the request contradicts what is stored
    ├── PreconditionFailed      the caller's own condition does not hold
    ├── CursorExpired           the history asked for is gone; list, then watch again
    ├── Throttled               too much at the moment; later it may be
    ├── Unavailable             the store cannot be asked now; nothing was written
    │   ├── StorageFull         an operator must make room
    │   ├── SealingUnavailable  an operator must make keys
    │   └── SealBroken          an operator must bring a key back
    └── OutcomeUnknown          the store did not say whether it wrote

A code is a few words joined by ``_``; it is documented in the API reference and never reused.  No
error knows an HTTP status: the one table that does is in the API room.
"""

from __future__ import annotations

from collections.abc import Mapping

OPERATOR_SECONDS = 60  # until an operator may have mended something


class FactstoreError(Exception):
    """A refusal with a code, and a sentence that says what was wrong, where, and what would be right.

    :param detail: the sentence, safe to show to the caller.
    :param code: overrides the class's default code.
    :param extra: members added to the error body (``etag``, ``path``, ``field``...).
    """

    code = "error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.extra = dict(extra or {})


class Invalid(FactstoreError):
    """The request can never be right as it stands."""

    code = "invalid"


class TooLarge(FactstoreError):
    """A value, body or batch exceeds its limit."""

    code = "too_large"


class Forbidden(FactstoreError):
    """The caller's rights do not suffice."""

    code = "forbidden"


class NotFound(FactstoreError):
    """What was asked for does not exist, or belongs to somebody else."""

    code = "not_found"


class Conflict(FactstoreError):
    """The request contradicts what is stored."""

    code = "conflict"


class PreconditionFailed(FactstoreError):
    """The caller's precondition does not hold; ``extra['etag']`` is the current one, if any."""

    code = "precondition_failed"


class CursorExpired(FactstoreError):
    """The history after a cursor is not available any more, or never was in this store."""

    code = "cursor_expired"


class Throttled(FactstoreError):
    """The caller takes more at the moment than it may.

    :param retry_after: whole seconds after which trying again makes sense; also in ``extra``.
    """

    code = "rate_limited"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, code=code, extra={"retry_after": retry_after})


class Unavailable(FactstoreError):
    """The store cannot be asked at the moment; nothing was written.

    :param retry_after: whole seconds after which trying again makes sense.
    """

    code = "store_unavailable"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class StorageFull(Unavailable):
    """The database is full; what was asked for may have been written as the last that fitted."""

    code = "storage_full"


class SealingUnavailable(Unavailable):
    """There are no keys to seal with."""

    code = "sealing_unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=OPERATOR_SECONDS)


class SealBroken(Unavailable):
    """What is sealed does not open: its key is lost, or it does not belong where it lies."""

    code = "seal_broken"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=OPERATOR_SECONDS)


class OutcomeUnknown(FactstoreError):
    """The store did not answer in time: the write may or may not have happened."""

    code = "outcome_unknown"
