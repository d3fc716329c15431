"""Many stacks as lines of a terminal, one for each, updated by the items of a watch."""

from __future__ import annotations

from dataclasses import dataclass, field

from factstore.client import Change, Event, StackContents, StacksSnapshot
from factstore.client.counts import counted
from factstore.osc.display import printable
from factstore.osc.stack_view import cut, summary, table, time_of_day


@dataclass
class _Stack:
    """The names in one stack, and its last change.

    :param newest: the number of the event that changed it last.
    """

    facts: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    waiters: set[str] = field(default_factory=set)
    updated: str = ""
    last: str = ""
    newest: int = 0


class StacksView:
    """The newest state of many stacks, and which of them the last event changed."""

    def __init__(self) -> None:
        self._stacks: dict[tuple[str, str], _Stack] = {}
        self._changed: set[tuple[str, str]] = set()
        self._last = ""
        self._events = 0

    def apply(self, item: StacksSnapshot | Event) -> None:
        """Apply an item of a watch."""
        self._changed = set()
        if isinstance(item, StacksSnapshot):
            self._stacks = {(each.project_id, each.stack): _contents(each) for each in item.stacks}
            return
        self._events += 1
        for change in item.changes:
            key = change.project_id or "", change.stack or ""
            if change.type == "stack.delete":
                self._stacks.pop(key, None)
                continue
            self._changed.add(key)
            _apply(self._stacks.setdefault(key, _Stack()), change, self._events)
        newest = item.changes[-1]
        self._last = f"{newest.stack}: {summary(item, newest.stack or '')}"

    def note(self, text: str) -> None:
        """Show a text in the title until the next event."""
        self._last = printable(text)

    def lines(self, columns: int, rows: int) -> list[str]:
        """Return at most *rows* lines of at most *columns* cells, some with escape sequences."""
        many_projects = len({project for project, _ in self._stacks}) > 1
        facts = sum(len(each.facts) for each in self._stacks.values())
        members = sum(len(each.members) for each in self._stacks.values())
        title = (
            f"{counted(len(self._stacks), 'stack')}: {counted(facts, 'fact')}, "
            f"{counted(members, 'member')}"
        )
        found = [cut(f"{title}  {self._last}".rstrip(), columns)]
        kept = max(rows - 3, 1)
        shown = sorted(self._stacks, key=lambda key: -self._stacks[key].newest)[:kept]
        lines = []
        for key in sorted(shown):
            stack, (project_id, name) = self._stacks[key], key
            counts = (len(stack.facts), len(stack.members), len(stack.waiters))
            first = f"{project_id}/{name}" if many_projects else name
            lines.append((key, (first, *map(str, counts), stack.updated, stack.last)))
        heading = ("Stack", "Facts", "Members", "Waiters", "Updated", "Last change")
        found += table(heading, lines, self._changed, columns)
        if len(self._stacks) > len(shown):
            found.append(
                f"… and {counted(len(self._stacks) - len(shown), 'stack')} that changed earlier"
            )
        return found if len(found) <= rows else [*found[: rows - 1], "…"]


def _contents(found: StackContents) -> _Stack:
    times = [fact.updated_at for fact in found.facts]
    times += [member.updated_at for member in found.members]
    return _Stack(
        {fact.path for fact in found.facts},
        {member.name for member in found.members},
        {waiter.name for waiter in found.waiters},
        time_of_day(max(times, default="")),
    )


def _apply(stack: _Stack, change: Change, number: int) -> None:
    name = change.path or change.name or ""
    stack.last, stack.newest = f"{change.type} {name}".rstrip(), number
    noun = change.type.partition(".")[0]
    if noun == "fact":
        _keep(stack.facts, name, change.fact is not None)
    elif noun == "member":
        lives = change.member is not None and change.member.state != "departed"
        _keep(stack.members, name, lives)
    elif noun == "waiter":
        _keep(stack.waiters, name, change.waiter is not None)
    if change.fact is not None:
        stack.updated = time_of_day(change.fact.updated_at)
    elif change.member is not None:
        stack.updated = time_of_day(change.member.updated_at)


def _keep(names: set[str], name: str, exists: bool) -> None:
    if exists:
        names.add(name)
    else:
        names.discard(name)
