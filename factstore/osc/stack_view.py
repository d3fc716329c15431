"""A stack as lines of a terminal: facts, members, waiters and alarms, kept current by a watch."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from typing import TypeVar

from factstore.client import AlarmRecord, Event, Fact, MemberRecord, Snapshot, WaiterRecord
from factstore.client.counts import counted
from factstore.osc.display import printable, text_of

T = TypeVar("T")

_VALUE_CELLS = 60
_HIGHLIGHT, _HEADING, _PLAIN = "\x1b[7m", "\x1b[1m", "\x1b[0m"


class StackView:
    """The newest state of a stack, and which parts of it the last event changed.

    :param name: the name of the stack.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._facts: dict[str, Fact] = {}
        self._members: dict[str, MemberRecord] = {}
        self._waiters: dict[str, WaiterRecord] = {}
        self._alarms: dict[str, AlarmRecord] = {}
        self._changed: set[tuple[str, str]] = set()
        self._last = ""

    def apply(self, item: Snapshot | Event) -> None:
        """Apply an item of a watch."""
        self._changed = set()
        if isinstance(item, Snapshot):
            self._facts = {fact.path: fact for fact in item.facts}
            self._members = {member.name: member for member in item.members}
            self._waiters = {waiter.name: waiter for waiter in item.waiters}
            self._alarms = {alarm.name: alarm for alarm in item.alarms}
            return
        for change in item.changes:
            name = change.path or change.name or ""
            noun = change.type.partition(".")[0]
            if noun == "fact":
                _replace(self._facts, name, change.fact)
            elif noun == "member":
                departed = change.member is not None and change.member.state == "departed"
                _replace(self._members, name, None if departed else change.member)
            elif noun == "waiter":
                _replace(self._waiters, name, change.waiter)
            elif noun == "alarm":
                _replace(self._alarms, name, change.alarm)
            self._changed.add((noun, name))
        self._last = summary(item, self._name)

    def note(self, text: str) -> None:
        """Show a text in the title until the next event."""
        self._last = printable(text)

    def lines(self, columns: int, rows: int) -> list[str]:
        """Return at most *rows* lines of at most *columns* cells, some with escape sequences."""
        members = [
            (("member", m.name), (m.name, m.group, m.state, time_of_day(m.updated_at)))
            for _, m in sorted(self._members.items())
        ]
        waiters = [
            (("waiter", w.name), (w.name, w.state, w.reason or ""))
            for _, w in sorted(self._waiters.items())
        ]
        alarms = [
            (("alarm", a.name), (a.name, a.state, a.reason or ""))
            for _, a in sorted(self._alarms.items())
        ]
        facts = [
            (("fact", f.path), (f.path, _value(f), f.member or "", time_of_day(f.updated_at)))
            for f in self._facts.values()
        ]
        counts = ((facts, "fact"), (members, "member"), (waiters, "waiter"))
        title = f"{self._name}: {', '.join(counted(len(rows), noun) for rows, noun in counts)}"
        found = [cut(f"{title}  {self._last}".rstrip(), columns)]
        others = sum(len(part) + 2 for part in (members, waiters, alarms) if part)
        kept = max(rows - 3 - others, 3)
        newest = sorted(facts, key=lambda row: self._facts[row[0][1]].revision)[-kept:]
        changed = self._changed
        heading = ("Path", "Value", "Member", "Updated")
        found += table(heading, sorted(newest), changed, columns)
        if len(facts) > len(newest):
            found.append(f"… and {counted(len(facts) - len(newest), 'fact')} that changed earlier")
        if members:
            found += [
                "",
                *table(("Member", "Group", "State", "Updated"), members, changed, columns),
            ]
        if waiters:
            found += ["", *table(("Waiter", "State", "Reason"), waiters, changed, columns)]
        if alarms:
            found += ["", *table(("Alarm", "State", "Reason"), alarms, changed, columns)]
        return found if len(found) <= rows else [*found[: rows - 1], "…"]


def summary(event: Event, stack: str) -> str:
    """Return a line for an event: its last change, and how many there are more."""
    newest = event.changes[-1]
    more = f" and {len(event.changes) - 1} more" if len(event.changes) > 1 else ""
    return f"{newest.type} {newest.path or newest.name or stack}{more}"


def table(
    heading: Sequence[str],
    rows: Sequence[tuple[tuple[str, str], Sequence[str]]],
    changed: Collection[tuple[str, str]],
    columns: int,
) -> list[str]:
    """Return the lines of a table.

    :param rows: each with its key.
    :param changed: the keys of the rows to highlight.
    """
    cells = [heading, *(tuple(map(printable, row)) for _, row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    styles = [_HEADING, *(_HIGHLIGHT if key in changed else "" for key, _ in rows)]
    lines = []
    for style, row in zip(styles, cells, strict=True):
        padded = (
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        )
        line = cut("  ".join(padded).rstrip(), columns)
        lines.append(f"{style}{line}{_PLAIN}" if style else line)
    return lines


def _replace(known: dict[str, T], name: str, value: T | None) -> None:
    if value is None:
        known.pop(name, None)
    else:
        known[name] = value


def _value(fact: Fact) -> str:
    return "(sensitive)" if fact.sensitive else cut(printable(text_of(fact.value)), _VALUE_CELLS)


def time_of_day(timestamp: str) -> str:
    """Return the time of day, in UTC."""
    return timestamp.partition("T")[2][:8]


def cut(text: str, cells: int) -> str:
    """Return the beginning of a text that fits into a number of cells."""
    if _width(text) <= cells:
        return text
    while _width(text) > cells - 1:
        text = text[:-1]
    return f"{text}…"


def _width(text: str) -> int:
    """Return the number of cells that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )
