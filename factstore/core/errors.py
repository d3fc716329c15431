"""The errors of the domain, each with a stable code.

The tree::

    FactstoreError
    ├── Invalid                 the request is malformed; repeating it cannot succeed
    ├── TooLarge                a size limit is exceeded
    ├── Unauthorized            the caller's credential is not valid, or not any more
    ├── Forbidden               the caller lacks the permission
    ├── NotFound                the resource is missing or belongs to another project
    ├── Conflict                the request contradicts the stored state
    ├── PreconditionFailed      the caller's precondition is not met
    ├── CursorExpired           the history was compacted; list, then watch again
    ├── Throttled               a rate or a bound is exceeded; try again later
    ├── Unavailable             the store cannot be reached; nothing was written
    │   ├── StorageFull         an operator must free space
    │   ├── SealingUnavailable  an operator must create keys
    │   └── SealBroken          an operator must restore a key
    └── OutcomeUnknown          the store did not report whether it wrote

A code is a few words joined by ``_``.  It is documented in the API reference and is never reused.
HTTP statuses are assigned in the API package.
"""

from __future__ import annotations

from collections.abc import Mapping

LIST_AGAIN = "list, then watch from the list's cursor"
"""The remedy for an expired cursor of a watch."""

OPERATOR_SECONDS = 60  # the time after which an operator may have repaired something


class FactstoreError(Exception):
    """An error with a code, and a text that states the problem, its cause and the remedy.

    :param detail: the text; it can be shown to the caller.
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
    """The request is malformed; repeating it cannot succeed."""

    code = "invalid"


class TooLarge(FactstoreError):
    """A value, body or batch exceeds its limit."""

    code = "too_large"


class Unauthorized(FactstoreError):
    """The caller's credential is not valid, or not any more."""

    code = "unauthorized"


class Forbidden(FactstoreError):
    """The caller lacks the permission."""

    code = "forbidden"


class NotFound(FactstoreError):
    """The resource does not exist or belongs to another project."""

    code = "not_found"


class Conflict(FactstoreError):
    """The request contradicts the stored state."""

    code = "conflict"


class PreconditionFailed(FactstoreError):
    """The caller's precondition is not met; ``extra['etag']`` is the current etag, if any."""

    code = "precondition_failed"


class CursorExpired(FactstoreError):
    """The history after a cursor was compacted or never existed in this store.

    :param cause: what happened, without the remedy: a stream that restarts itself names another one.
    :param remedy: what the caller has to do.
    """

    code = "cursor_expired"

    def __init__(self, cause: str, remedy: str | None = None) -> None:
        super().__init__(cause if remedy is None else f"{cause}; {remedy}.")
        self.cause = cause


class Throttled(FactstoreError):
    """The caller exceeds a rate or a bound.

    :param retry_after: whole seconds to wait before the next attempt; also in ``extra``.
    """

    code = "rate_limited"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, code=code, extra={"retry_after": retry_after})


class Unavailable(FactstoreError):
    """The store cannot be reached; nothing was written.

    :param retry_after: whole seconds to wait before the next attempt.
    """

    code = "store_unavailable"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class StorageFull(Unavailable):
    """The database is full; this write may have been the last that was accepted."""

    code = "storage_full"


class SealingUnavailable(Unavailable):
    """The service has no keys to seal values with."""

    code = "sealing_unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=OPERATOR_SECONDS)


class SealBroken(Unavailable):
    """A sealed value cannot be opened: its key is missing, or the value was moved."""

    code = "seal_broken"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=OPERATOR_SECONDS)


class OutcomeUnknown(FactstoreError):
    """The store did not answer in time: the write may or may not have happened."""

    code = "outcome_unknown"
