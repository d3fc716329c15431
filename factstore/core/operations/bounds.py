"""Bounds that are the same for all projects: the most of something that a stack may have.

They protect the workers, which keep everything in memory; an operator can only change the quotas.
"""

from __future__ import annotations

from factstore.core.errors import Forbidden


def check_bound(noun: str, used: int, limit: int) -> None:
    """Refuse another one in a stack that has as many as are allowed.

    :param noun: in the plural, as in ``waiters``.
    :raises Forbidden: ``quota_exceeded``.
    """
    if used >= limit:
        raise quota_exceeded(
            f"{noun}_per_stack",
            limit,
            used,
            f"The stack has {used} {noun}; at most {limit} are allowed. Delete some {noun}.",
        )


def quota_exceeded(quota: str, limit: int, used: int, detail: str) -> Forbidden:
    """Return the refusal of a write that would exceed a bound or a quota."""
    extra = {"quota": quota, "limit": limit, "used": used}
    return Forbidden(detail, code="quota_exceeded", extra=extra)
