"""Waits: who waits for whom in a stack, as far as a caller may see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from factstore.core.model.fact import Scope
from factstore.core.model.path import check_stack_name
from factstore.core.model.permissions import Permissions
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.stuck_report import STUCK_REPORT, StuckReport
from factstore.core.model.wait import USERS, Goal, Party, Wait
from factstore.core.operations.operation import stack_missing
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store
from factstore.core.services.base import Service
from factstore.core.services.wait_finder import FoundWaits, WaitFinder
from factstore.core.state.wait_verdict import Circle, CircleStep

LISTED = 1000
"""The waits in a response; others are counted.  Those of circles and obstacles come first."""
OWNERS_LISTED = 100


@quick_dataclass(frozen=True, slots=True)
class WaitsView:
    """The waits in a stack that a caller may see.

    :param omitted: the number of waits that are not among *waits*.
    :param since: the time since which the stack is stuck; None if it is not.
    :param reported_at: the time of the event ``stack.stuck``; None if there was none.
    """

    waits: tuple[Wait, ...]
    omitted: int
    circles: tuple[Circle, ...]
    never: tuple[Wait, ...]
    since: str | None
    reported_at: str | None

    @property
    def stuck(self) -> bool:
        """True if the caller sees a circle, or a wait that cannot end whatever its owners do."""
        return self.since is not None


class WaitService(Service):
    """The service for waits."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        finder: WaitFinder,
    ) -> None:
        super().__init__(store, clock, timeout, transactor)
        self._finder = finder

    def get(self, scope: Scope, permissions: Permissions, *, stale: bool = False) -> WaitsView:
        """Return the waits that a caller may see, and what is known of their ends.

        :raises NotFound: there is no such stack.
        """
        check_stack_name(scope.stack)
        state = self._state(stale=stale)
        with state.read():
            stack_state = state.stack_state(scope)
            if stack_state is None:
                raise stack_missing(scope)
            found = self._finder.find(stack_state)
            report = stack_state.record(STUCK_REPORT)
        reported_at = report.reported_at if isinstance(report, StuckReport) else None
        return _view(found, permissions, reported_at)


def _view(found: FoundWaits, permissions: Permissions, reported_at: str | None) -> WaitsView:
    sees = _sees(permissions)
    circles = tuple(
        circle if permissions.unrestricted else _masked_circle(circle, permissions)
        for circle in found.verdict.circles
        if permissions.member is None
        or any(party.member == permissions.member for party in circle.parties)
    )
    doubtful = (wait for wait in found.waits.all() if wait.obstacle and not wait.is_blocked)
    never = tuple(wait for wait in (*found.verdict.never, *doubtful) if sees(wait))
    steps = (step.wait for circle in found.verdict.circles for step in circle.steps)
    urgent = {id(wait) for wait in (*never, *steps)}
    waits = sorted(filter(sees, found.waits.all()), key=lambda w: (id(w) not in urgent, w.order))
    omitted = found.omitted if permissions.member is None else 0
    times = [circle.since for circle in circles]
    times += [wait.since for wait in never if wait.is_blocked]
    return WaitsView(
        tuple(_masked(wait, permissions) for wait in waits[:LISTED]),
        max(0, len(waits) - LISTED) + omitted,
        circles[:LISTED],
        tuple(_masked(wait, permissions) for wait in never[:LISTED]),
        min(times, default=None),
        reported_at if times else None,
    )


def _sees(permissions: Permissions) -> Callable[[Wait], bool]:
    """Return a function that returns True for the waits that a caller may see.

    A member sees its own.  Other holders of grants see what they may read: no configurations and runs.
    """
    if permissions.unrestricted:
        return lambda wait: True
    if permissions.member is not None:
        return lambda wait: wait.who.member == permissions.member
    return lambda wait: (
        wait.kind not in ("configuration", "action")
        and not any(owner.kind == "configuration" for owner in wait.owners)
        and (wait.goal.kind != "path" or permissions.can_read(wait.goal.name))
    )


def _masked(wait: Wait, permissions: Permissions) -> Wait:
    """Return a wait without what a holder of a grant may not see: users, and others' configurations.

    A member knows its own configurations, and the dependencies that they name.
    """
    own = permissions.member is not None and wait.who.member == permissions.member
    if permissions.unrestricted or own:
        return wait
    who = USERS if wait.who.kind == "user" else _masked_party(wait.who, permissions)
    owners = tuple(_masked_party(owner, permissions) for owner in wait.owners)
    return replace(wait, who=who, goal=_masked_goal(wait.goal, permissions), owners=owners)


def _masked_goal(goal: Goal, permissions: Permissions) -> Goal:
    member = goal.name.partition("/")[0]
    if goal.kind == "configuration" and not permissions.can_read(f"configs/{goal.name}"):
        return Goal("member", member)
    if goal.kind == "path" and not permissions.can_read(goal.name):
        return Goal("member", goal.name.split("/")[1])
    return goal


def _masked_party(party: Party, permissions: Permissions) -> Party:
    if party.kind == "configuration" and not permissions.can_read(f"configs/{party.name}"):
        return Party("member", party.name.partition("/")[0])
    return party


def _masked_circle(circle: Circle, permissions: Permissions) -> Circle:
    return Circle(
        tuple(dict.fromkeys(_masked_party(party, permissions) for party in circle.parties)),
        tuple(
            CircleStep(_masked(step.wait, permissions), _masked_party(step.owner, permissions))
            for step in circle.steps
        ),
    )
