"""Query parameters of requests."""

from __future__ import annotations


def query_params(**params: str | None) -> dict[str, str]:
    """Return query parameters without the empty ones."""
    return {name: value for name, value in params.items() if value}


def context_params(
    member: str | None, results: bool, settle: float, max_settle: float | None
) -> dict[str, str]:
    """Return the query parameters of a context."""
    included = "results" if results else None
    return query_params(include=included, member=member, **settle_params(settle, max_settle))


def settle_params(settle: float, max_settle: float | None) -> dict[str, str]:
    """Return the query parameters for settling, in milliseconds."""
    if not settle:
        return {}
    longest = {} if max_settle is None else {"max_settle": str(round(1000 * max_settle))}
    return {"settle": str(round(1000 * settle)), **longest}
