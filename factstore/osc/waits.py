"""The command that shows who waits for whom, and what cannot end."""

from __future__ import annotations

import argparse

from factstore.client import StackWaits
from factstore.client.waits import Wait
from factstore.osc.arguments import add_stack
from factstore.osc.display import Row, ShowOne, fields

STUCK = 3
LISTED = 100
"""The waits in a table."""

_GOALS = {
    "path": "{}",
    "group": "members of group {}",
    "turn": "its turn in queue {}",
    "signals": "signals",
}
_OWNED = ("path", "turn")
"""The kinds of goals that do not name who can end the wait."""


class ShowStuck(ShowOne):
    """Show who waits for whom in a stack, and why it is stuck

    The output contains the circles in which members wait for each other, the waits that cannot end by
    themselves, each with a remedy, and all waits. The exit status is 0 if the stack is not stuck, 3 if
    it is, and 1 if an error occurred. An owner of the stack can still write what is awaited.
    """

    stuck = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the waits."""
        found = self.stack(parsed_args).waits()
        self.stuck = found.stuck
        return fields(_document(found))

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command, and return its status."""
        status = super().run(parsed_args)
        return status or (STUCK if self.stuck else 0)


def _document(found: StackWaits) -> dict[str, object]:
    omitted = found.omitted + max(0, len(found.waits) - LISTED)
    return {
        "stuck": found.stuck,
        "stuck_since": found.stuck_since,
        "reported_at": found.reported_at,
        "circles": [
            {"members": list(circle.members), "detail": circle.detail} for circle in found.circles
        ],
        "never": [{"detail": each.detail, "remedy": each.remedy} for each in found.never],
        "waits": [_line(wait) for wait in found.waits[:LISTED]],
        "omitted": omitted,
        "note": found.note,
    }


def _line(wait: Wait) -> str:
    """Return a wait as one line."""
    kind, name = wait.goal
    goal = _GOALS.get(kind, f"{kind} {{}}").format(name)
    if kind == "group" and name == "*":
        goal = "members"
    owners = " or ".join(wait.owners[:3]) + (" or others" if len(wait.owners) > 3 else "")
    by = (
        f", {'held' if kind == 'turn' else 'written'} by {owners}"
        if kind in _OWNED and owners
        else ""
    )
    times = f", {wait.count} requests" if wait.count > 1 else ""
    reads = "its template needs" if wait.kind == "template" else "waits for"
    return f"{' '.join(wait.who)}: {reads} {goal}{by}, since {wait.since}{times}"
