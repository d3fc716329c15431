"""Query parameters of requests."""

from __future__ import annotations

BOTH = "self,peers"
"""The parts of a context for a member, by default."""


def query_params(**params: str | None) -> dict[str, str]:
    """Return query parameters without the empty ones."""
    return {name: value for name, value in params.items() if value}


def context_params(member: str | None, view: str, *, results: bool) -> dict[str, str]:
    """Return the query parameters that select what a context contains.

    :param view: what the document has for the member.
    """
    shown = view if member and view != BOTH else None
    return query_params(include="results" if results else None, member=member, view=shown)


def settle_params(settle: float, max_settle: float | None) -> dict[str, str]:
    """Return the query parameters for settling, in milliseconds."""
    if not settle:
        return {}
    longest = {} if max_settle is None else {"max_settle": str(round(1000 * max_settle))}
    return {"settle": str(round(1000 * settle)), **longest}
