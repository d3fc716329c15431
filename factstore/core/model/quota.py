"""Quotas: how much a project, and each of its stacks, may hold.

What is held is counted in the state, which may lag behind the database, and behind what others have on
their way.  Still no quota is ever exceeded, by at most :data:`WORKERS` processes:

* A project has a *gate*: a key that writes near a quota move, and that every write that adds compares.
  Writes through the gate happen one after another, each decided with all before it in view.
* Other writes leave the gate alone, and so may share a transaction.  They stop at an eighth of the
  quota short of it, and of what a process has added that its state does not show yet, it lets no more
  pass beside the gate than its share of that eighth.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from math import inf

from factstore.core.errors import Forbidden, Unavailable
from factstore.core.model.usage import ProjectUsage, Usage

UNLIMITED = -1
WORKERS = 16
_MARGIN = 8  # the part of a quota, as a divisor, that is given away through the gate only


@dataclass(frozen=True, slots=True)
class Quota:
    """The most that one project may hold; bytes are those of canonical values and paths."""

    stacks: int = UNLIMITED
    facts: int = UNLIMITED
    bytes: int = UNLIMITED
    facts_per_stack: int = UNLIMITED
    bytes_per_stack: int = UNLIMITED

    @property
    def share(self) -> Growth:
        """What one process may add beside the gate that it does not see yet; infinite where free."""

        def of(*limits: int) -> float:
            shares = (limit // _MARGIN // WORKERS for limit in limits if limit != UNLIMITED)
            return min(shares, default=inf)

        return Growth(
            of(self.stacks),
            of(self.facts, self.facts_per_stack),
            of(self.bytes, self.bytes_per_stack),
        )


Quotas = Callable[[str], Quota]
"""The quota of a project, by its id."""


def no_quotas(project_id: str) -> Quota:
    """Nobody is limited."""
    return Quota()


@dataclass(frozen=True, slots=True)
class Growth:
    """What a write adds; negative where it removes."""

    stacks: float = 0
    facts: float = 0
    bytes: float = 0

    def __add__(self, other: Growth) -> Growth:
        return Growth(
            self.stacks + other.stacks, self.facts + other.facts, self.bytes + other.bytes
        )

    def __sub__(self, other: Growth) -> Growth:
        return self + Growth(-other.stacks, -other.facts, -other.bytes)

    @property
    def adds(self) -> bool:
        """Whether there is more of anything afterwards."""
        return any(more > 0 for more in astuple(self))

    def within(self, share: Growth) -> bool:
        """Whether none of it exceeds a share."""
        return all(more <= most for more, most in zip(astuple(self), astuple(share), strict=True))


def admit(quota: Quota, project: ProjectUsage, stack: Usage, growth: Growth) -> bool:
    """Whether a write comes so near a quota that it must pass the gate.

    Only what grows is judged: a project above a quota that was lowered may still change and remove.

    :raises Forbidden: ``quota_exceeded``.
    """
    near = False
    for name, limit, held, more in (
        ("stacks", quota.stacks, project.stacks, growth.stacks),
        ("facts", quota.facts, project.facts, growth.facts),
        ("bytes", quota.bytes, project.bytes, growth.bytes),
        ("facts_per_stack", quota.facts_per_stack, stack.facts, growth.facts),
        ("bytes_per_stack", quota.bytes_per_stack, stack.bytes, growth.bytes),
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
        near = near or held + more > limit - limit // _MARGIN
    return near


@dataclass(eq=False, slots=True)
class Reservation:
    """What a write under way adds beside the gate.

    :param revision: at which it was written; the state shows it from there on.  0 while it is not.
    """

    growth: Growth
    revision: int = 0


@dataclass(slots=True)
class _Project:
    gate: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    reserved: list[Reservation] = field(default_factory=list)
    unseen: Growth = Growth()

    def drop(self, reservation: Reservation) -> None:
        """Count a reservation no longer."""
        self.reserved.remove(reservation)
        self.unseen -= reservation.growth


class Gates:
    """The writes that this process has under way near the quotas of each project."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._projects: dict[str, _Project] = {}

    @contextmanager
    def beside(
        self, project_id: str, growth: Growth, share: Growth, seen: int
    ) -> Iterator[Reservation | None]:
        """Let a write pass beside the gate; None if too much has that is not to be seen yet.

        It counts until the state shows it, and no longer than the ``with`` block if it is given no
        revision there.

        :param seen: the revision of the state here.
        """
        made = self._reserve(project_id, growth, share, seen)
        try:
            yield made
        finally:
            if made is not None and not made.revision:
                with self._lock:
                    self._projects[project_id].drop(made)
                    self._forget_idle(project_id)

    def _reserve(
        self, project_id: str, growth: Growth, share: Growth, seen: int
    ) -> Reservation | None:
        with self._lock:
            project = self._projects.setdefault(project_id, _Project())
            for known in [r for r in project.reserved if 0 < r.revision <= seen]:
                project.drop(known)
            if not (project.unseen + growth).within(share):
                self._forget_idle(project_id)
                return None
            made = Reservation(growth)
            project.reserved.append(made)
            project.unseen += growth
            return made

    @contextmanager
    def passing(self, project_id: str, seconds: float) -> Iterator[None]:
        """Hold a project's gate against the other writes of this process.

        The database would refuse all but one of those who come at once, and each would try again.

        :raises Unavailable: ``contention``: it was not free within *seconds*.
        """
        with self._lock:
            project = self._projects.setdefault(project_id, _Project())
            project.users += 1
        held = False
        try:
            held = project.gate.acquire(timeout=max(0.0, seconds))
            if not held:
                raise Unavailable(
                    "many writers compete for the last of the project's quota; nothing was "
                    "written. Try again.",
                    code="contention",
                )
            yield
        finally:
            if held:
                project.gate.release()
            with self._lock:
                project.users -= 1
                self._forget_idle(project_id)

    def _forget_idle(self, project_id: str) -> None:
        project = self._projects.get(project_id)
        if project and not project.users and not project.reserved:
            del self._projects[project_id]
