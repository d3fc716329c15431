"""Quotas: how much a project, and each of its stacks, may hold.

What is held is counted in the state, which may lag.  So a write that comes near a quota passes the
project's *gate*: a revision that the transaction compares and moves.  Such writes happen one after
another, each decided with all before it in view, and the last free place is given away once.  Writes
far from every quota do not touch the gate, and so may share a transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from factstore.core.errors import Forbidden, Unavailable
from factstore.core.state import ProjectUsage, Usage

UNLIMITED = -1

# How near is near: more than all workers can have on their way at once that did not see the gate,
# which is a hundred of the largest batches.
MARGIN_STACKS = 100
MARGIN_FACTS = 10_000
MARGIN_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Quota:
    """The most that one project may hold; bytes are those of canonical values and paths."""

    stacks: int = UNLIMITED
    facts: int = UNLIMITED
    bytes: int = UNLIMITED
    facts_per_stack: int = UNLIMITED
    bytes_per_stack: int = UNLIMITED


Quotas = Callable[[str], Quota]
"""The quota of a project, by its id."""


def no_quotas(project_id: str) -> Quota:
    """Nobody is limited."""
    return Quota()


@dataclass(frozen=True, slots=True)
class Growth:
    """What a write adds; negative where it removes."""

    stacks: int = 0
    facts: int = 0
    bytes: int = 0


def admit(quota: Quota, project: ProjectUsage, stack: Usage, growth: Growth) -> bool:
    """Whether a write comes so near a quota that it must pass the project's gate.

    Only what grows is judged: a project above a quota that was lowered may still change and remove.

    :raises Forbidden: ``quota_exceeded``.
    """
    near = False
    for name, limit, held, more, margin in (
        ("stacks", quota.stacks, project.stacks, growth.stacks, MARGIN_STACKS),
        ("facts", quota.facts, project.facts, growth.facts, MARGIN_FACTS),
        ("bytes", quota.bytes, project.bytes, growth.bytes, MARGIN_BYTES),
        ("facts_per_stack", quota.facts_per_stack, stack.facts, growth.facts, MARGIN_FACTS),
        ("bytes_per_stack", quota.bytes_per_stack, stack.bytes, growth.bytes, MARGIN_BYTES),
    ):
        if limit == UNLIMITED or more <= 0:
            continue
        if held + more > limit:
            what, _, per = name.partition("_")
            raise Forbidden(
                f"this would make {held + more} {what} in the {'stack' if per else 'project'}; "
                f"at most {limit} are allowed. Delete some, or ask an operator for a larger quota.",
                code="quota_exceeded",
                extra={"quota": name, "limit": limit, "used": held},
            )
        near = near or held + more > limit - margin
    return near


class Gates:
    """Lets one write at a time through a project's gate, among those of this process.

    The database would refuse all but one of those who come at once, and each would try again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def passing(self, project_id: str, seconds: float) -> Iterator[None]:
        """Hold a project's gate.

        :raises Unavailable: ``contention``: it was not free within *seconds*.
        """
        with self._lock:
            gate, users = self._gates.get(project_id, (threading.Lock(), 0))
            self._gates[project_id] = gate, users + 1
        held = False
        try:
            held = gate.acquire(timeout=max(0.0, seconds))
            if not held:
                raise Unavailable(
                    "many writers compete for the last of the project's quota; nothing was "
                    "written. Try again.",
                    code="contention",
                )
            yield
        finally:
            if held:
                gate.release()
            with self._lock:
                users = self._gates[project_id][1] - 1
                if users:
                    self._gates[project_id] = gate, users
                else:
                    del self._gates[project_id]
