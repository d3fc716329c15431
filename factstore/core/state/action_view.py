"""Actions as readers see them: the state of each member's run, and of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal, get_args

from factstore.core.model.action import Action, ActionResult
from factstore.core.model.quick_dataclass import quick_dataclass

RunState = Literal[
    "waiting", "due", "in_progress", "complete", "failed", "lost", "cancelled", "timed_out"
]
RUN_STATES: tuple[RunState, ...] = get_args(RunState)
OPEN_STATES: tuple[RunState, ...] = ("waiting", "due", "in_progress")
ActionState = Literal["in_progress", "complete", "failed", "cancelled", "timed_out"]
ACTION_STATES: tuple[ActionState, ...] = get_args(ActionState)


@quick_dataclass(frozen=True, slots=True)
class Run:
    """One member's run of an action.

    :param result: the last report; None before the first one.
    """

    member: str
    state: RunState
    result: ActionResult | None = None

    @property
    def ended(self) -> bool:
        """True if nothing more is to be expected, except the late report of a lost member."""
        return self.state not in OPEN_STATES


@quick_dataclass(frozen=True, slots=True)
class ActionView:
    """An action with the runs of its members, in their order."""

    action: Action
    runs: tuple[Run, ...]

    @property
    def counts(self) -> dict[str, int]:
        """The number of members in each state, without zeros, in the order of the states."""
        counted = Counter(run.state for run in self.runs)
        return {state: counted[state] for state in RUN_STATES if counted[state]}

    @property
    def state(self) -> ActionState:
        """The state of the whole action."""
        return action_state(self.counts)

    @property
    def ended(self) -> bool:
        """True if the runs of all members have ended."""
        return self.state != "in_progress"


@quick_dataclass(frozen=True, slots=True)
class MemberRun:
    """One member's run, with its action."""

    action: Action
    run: Run


def action_state(counts: Mapping[str, int]) -> ActionState:
    """Return the state of an action from the number of members in each state."""
    if any(counts.get(state) for state in OPEN_STATES):
        return "in_progress"
    if counts.get("timed_out"):
        return "timed_out"
    if counts.get("cancelled"):
        return "cancelled"
    return "failed" if counts.get("failed") or counts.get("lost") else "complete"


def new_view(action: Action) -> ActionView:
    """Return an action that was just created."""
    limit = action.max_parallel or len(action.members)
    return ActionView(
        action,
        tuple(
            Run(name, "due" if at < limit else "waiting")
            for at, (name, _) in enumerate(action.members)
        ),
    )
