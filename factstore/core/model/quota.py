"""Quotas: how much a project, and each of its stacks, may hold."""

from __future__ import annotations

from collections.abc import Callable

from factstore.core.model.quick_dataclass import quick_dataclass

UNLIMITED = -1


@quick_dataclass(frozen=True, slots=True)
class Quota:
    """The most that one project may hold; bytes are those of canonical values and paths."""

    stacks: int = UNLIMITED
    facts: int = UNLIMITED
    bytes: int = UNLIMITED
    facts_per_stack: int = UNLIMITED
    bytes_per_stack: int = UNLIMITED
    subscriptions: int = UNLIMITED


UNLIMITED_QUOTA = Quota()

Quotas = Callable[[str], Quota]
"""The quota of a project, by its id."""


def no_quotas(project_id: str) -> Quota:
    """Return the quota that limits nothing."""
    return UNLIMITED_QUOTA
