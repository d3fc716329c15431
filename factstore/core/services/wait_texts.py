"""Waits, circles and obstacles in words, with remedies.

The texts name no user.  Those of events name no configuration, because everybody who may watch the
stack can read them; with *named*, the texts for one caller do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from factstore.core.model.counts import counted
from factstore.core.model.wait import ANY_GROUP, Goal, NeverReason, Party, Wait, is_private
from factstore.core.state.wait_verdict import Circle

_NOTE = "An owner of the stack can still write what is awaited."
_NOTE_ON_TEMPLATES = "An agent whose template lacks a fact still publishes facts of its own."
STEPS = 5  # of a circle
CAUSES = 3  # circles and obstacles in a summary

_REMEDIES: dict[NeverReason, str] = {
    "owner_missing": "Start or declare the member, or write the awaited value as an owner of the "
    "stack.",
    "owner_departed": "Let the member join again, or write the awaited value as an owner of the stack.",
    "value_differs": "Find out why the value is another one, or write the awaited value as an owner of "
    "the stack.",
    "dependency_failed": "Read the result of the dependency, and change its definition so that it runs "
    "again.",
}


def party_text(party: Party, *, named: bool = False) -> str:
    """Return the name of one that waits."""
    match party.kind:
        case "member":
            return party.name
        case "configuration":
            return f"configuration {party.name}" if named else f"a configuration of {party.member}"
        case "user" | "readers":
            return "a reader"
    return f"{party.kind} {party.name}"


def goal_text(goal: Goal, *, named: bool = False) -> str:
    """Return what is waited for."""
    match goal.kind:
        case "path":
            return "a configuration" if is_private(goal.name) and not named else goal.name
        case "member":
            return f"member {goal.name}"
        case "group":
            return "members" if goal.name == ANY_GROUP else f"members of group {goal.name}"
        case "turn":
            return f"its turn in queue {goal.name}"
        case "configuration":
            member = goal.name.partition("/")[0]
            return f"configuration {goal.name}" if named else f"a configuration of {member}"
        case "signals":
            return "signals"
    return f"{goal.kind} {goal.name}"


def wait_text(wait: Wait, owner: Party | None = None, *, named: bool = False) -> str:
    """Return a wait as a clause.

    :param owner: the one for whom it waits.
    """
    text = f"{party_text(wait.who, named=named)} waits for {goal_text(wait.goal, named=named)}"
    if owner is None or wait.goal == ("member", owner.name) or wait.goal.kind == "configuration":
        return text
    verb = "holds" if wait.kind == "turn" else "writes"
    return f"{text}, which {party_text(owner, named=named)} {verb}"


def circle_text(circle: Circle, *, named: bool = False) -> str:
    """Return a circle as a list of clauses."""
    steps = [wait_text(step.wait, step.owner, named=named) for step in circle.steps[:STEPS]]
    others = len(circle.parties) - len(steps)
    return "; ".join(steps) + (f"; and {counted(others, 'other')}" if others > 0 else "")


def never_detail(wait: Wait, *, named: bool = False) -> str:
    """Return why a wait cannot end."""
    assert wait.obstacle is not None  # noqa: S101 - callers have checked it
    reason, note, _ = wait.obstacle
    owner = next((owner.member for owner in wait.owners if owner.member), None)
    text = wait_text(wait, named=named)
    match reason:
        case "owner_missing":
            return f"{text}, but member {owner} does not exist and is not declared."
        case "owner_departed":
            return f"{text}, but member {owner} does not exist any more: {note}."
        case "value_differs":
            return f"{text}, which has another value than the awaited one."
    return f"{text}, which is {note}."


def never_remedy(wait: Wait) -> str:
    """Return what can be done about a wait that cannot end."""
    assert wait.obstacle is not None  # noqa: S101 - callers have checked it
    return _REMEDIES[wait.obstacle.reason]


def note_on(causes: Iterable[Circle | Wait]) -> str:
    """Return what can end such waits after all."""
    if any(isinstance(cause, Circle) and cause.uses_templates for cause in causes):
        return f"{_NOTE} {_NOTE_ON_TEMPLATES}"
    return _NOTE


def cause_text(cause: Circle | Wait) -> str:
    """Return a circle or an obstacle in words."""
    return f"{circle_text(cause)}." if isinstance(cause, Circle) else never_detail(cause)


def summary(causes: Sequence[Circle | Wait]) -> str:
    """Return the first causes in words."""
    text = " ".join(map(cause_text, causes[:CAUSES]))
    more = len(causes) - CAUSES
    return f"{text} {more} more." if more > 0 else text
