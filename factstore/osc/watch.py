"""The command that shows stacks as they change: a live table on a terminal, lines in a pipe."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any, Protocol, TextIO

from factstore.client import Bookmark, Event, Snapshot, StacksSnapshot
from factstore.client.watch import BaseWatch
from factstore.osc.arguments import seconds
from factstore.osc.closed_output import end_when_closed
from factstore.osc.display import Command, printable, text_of
from factstore.osc.errors import UsageError
from factstore.osc.stack_view import StackView
from factstore.osc.stacks_view import StacksView

FORMATS = ("json", "table", "value", "yaml")


class WatchFacts(Command):
    """Show the changes of stacks as they happen, until Ctrl-C or the deletion of the only stack

    On a terminal, the command shows a table that changes with the stacks. Otherwise it prints one line
    of JSON for each event; with --initial, the first line contains everything that exists.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        parser.add_argument(
            "stacks",
            metavar="<stack>",
            nargs="*",
            help="Name of a stack. With several names, or a name with '*' for any characters or '?' for"
            " one, the command shows many stacks, including those that are created later (default: all"
            " stacks of the project)",
        )
        parser.add_argument(
            "--project",
            metavar="<project-id>",
            help="ID of another project (admin only)",
        )
        parser.add_argument(
            "--all-projects",
            action="store_true",
            help="Show the stacks of all projects (admin only)",
        )
        parser.add_argument(
            "-f",
            "--format",
            dest="formatter",
            choices=FORMATS,
            help="Output format (default: table on a terminal, json otherwise)",
        )
        parser.add_argument(
            "--prefix", metavar="<path>", help="Show only facts at or below this path"
        )
        parser.add_argument("--group", metavar="<group>", help="Show only members of this group")
        parser.add_argument("--alarm", metavar="<alarm>", help="Show only alarms of this name")
        parser.add_argument(
            "--type",
            metavar="<type>",
            action="append",
            default=[],
            dest="types",
            help="Show only changes of this type, such as fact.put or member.expire (repeat option"
            " for several)",
        )
        begin = parser.add_mutually_exclusive_group()
        begin.add_argument(
            "--since", metavar="<cursor>", help="Begin with the event after this cursor"
        )
        begin.add_argument(
            "--initial",
            action="store_true",
            help="Begin with everything that exists, as the table does always",
        )
        parser.add_argument(
            "--settle",
            metavar="<seconds>",
            type=seconds,
            default=0,
            help="Show a burst of changes once the stack is quiet for this time, 0 to 5",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Print items until the only stack is deleted, or nobody reads the output."""
        output: TextIO = self.app.stdout
        formatter = parsed_args.formatter or ("table" if output.isatty() else "json")
        if formatter == "table" and not output.isatty():
            raise UsageError(
                "The table needs a terminal, because it changes. Use -f json or -f value."
            )
        if formatter == "table" and parsed_args.since is not None:
            raise UsageError(
                "The table shows everything, so it cannot begin with --since. Use -f value."
            )
        watch, view = self._watch(parsed_args, initial=formatter == "table")
        with end_when_closed(output, watch.close), watch:
            if formatter == "table":
                _show_table(watch, view, output)
                return
            for item in watch:
                if not isinstance(item, Bookmark):
                    output.write(_text(item, formatter))
                    output.flush()

    def _watch(
        self, parsed_args: argparse.Namespace, *, initial: bool
    ) -> tuple[BaseWatch[Any], _View]:
        """Return the watch of one stack or of many, and the view for its items."""
        stacks, types = parsed_args.stacks, parsed_args.types
        initial, settle = parsed_args.initial or initial, parsed_args.settle
        other_project = parsed_args.project or parsed_args.all_projects
        if len(stacks) == 1 and not other_project and not set("*?") & set(stacks[0]):
            one = self.client().stack(stacks[0])
            watch = one.watch(
                parsed_args.since,
                prefix=parsed_args.prefix,
                group=parsed_args.group,
                alarm=parsed_args.alarm,
                types=types,
                initial=initial,
                settle=settle,
            )
            return watch, StackView(stacks[0])
        many = self.client().watch(
            stacks,
            parsed_args.since,
            prefixes=[parsed_args.prefix] if parsed_args.prefix else (),
            groups=[parsed_args.group] if parsed_args.group else (),
            alarms=[parsed_args.alarm] if parsed_args.alarm else (),
            types=types,
            initial=initial,
            settle=settle,
            project_id=parsed_args.project,
            all_projects=parsed_args.all_projects,
        )
        return many, StacksView()


class _View(Protocol):
    """The lines of a terminal, updated by the items of a watch."""

    def apply(self, item: Any) -> None: ...

    def note(self, text: str) -> None: ...

    def lines(self, columns: int, rows: int) -> list[str]: ...


def _show_table(watch: BaseWatch[Any], view: _View, output: TextIO) -> None:
    """Draw the view after each item, and again when the size of the terminal changes."""
    table = _Table(view, output)
    previous = signal.signal(signal.SIGWINCH, table.resize)
    log = logging.getLogger("factstore.client")
    warnings = _Warnings(table, view)
    log.addHandler(warnings)
    log.propagate = False
    try:
        for item in watch:
            if not isinstance(item, Bookmark):
                view.apply(item)
                table.draw()
    finally:
        log.propagate = True
        log.removeHandler(warnings)
        signal.signal(signal.SIGWINCH, previous)


class _Table:
    """A view on a terminal, drawn over the one before."""

    def __init__(self, view: _View, output: TextIO) -> None:
        self._view = view
        self._output = output
        self._drawn = 0
        self._draws = False
        self._resized = False

    def draw(self) -> None:
        """Draw the view, and again if the terminal was resized meanwhile."""
        self._draw()
        while self._resized:
            self._resized = False
            self._draw("\x1b[2J\x1b[H")  # the lines may have been wrapped

    def _draw(self, begin: str = "") -> None:
        """Draw the view once.

        :param begin: moves the cursor and clears the terminal; empty to do so in place.
        """
        columns, rows = shutil.get_terminal_size()
        lines = self._view.lines(columns, rows - 1)
        up = f"\x1b[{min(self._drawn, rows - 1)}A" if self._drawn else ""
        # Without ?7l, the terminal would wrap a line that it displays wider than expected.
        text = f"\x1b[?7l{begin or up}\r\x1b[J" + "\n".join(lines) + "\n\x1b[?7h"
        self._draws = True
        with _not_interrupted():  # so that the terminal is left in order
            self._output.write(text)
            self._output.flush()
            self._drawn = len(lines)
            self._draws = False

    def resize(self, number: int, frame: FrameType | None) -> None:
        """Draw the view in a terminal that has another size now."""
        self._resized = True
        if not self._draws:
            self.draw()


class _Warnings(logging.Handler):
    """Shows warnings of the client, such as of a lost connection, in the table instead of across it."""

    def __init__(self, table: _Table, view: _View) -> None:
        super().__init__(logging.WARNING)
        self._table = table
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        """Show the message until the next event."""
        self._view.note(record.getMessage())
        self._table.draw()


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """Delay Ctrl-C."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if received:
        raise KeyboardInterrupt


def _text(item: Snapshot | StacksSnapshot | Event, formatter: str) -> str:
    """Return the lines for an item."""
    if formatter == "json":
        return json.dumps(_document(item)) + "\n"
    if formatter == "yaml":
        import yaml  # it takes long, and is needed here only

        text: str = yaml.safe_dump(_document(item), explicit_start=True, sort_keys=False)
        return text
    if isinstance(item, Snapshot):
        return "".join(_line("fact.put", fact.path, fact.value) for fact in item.facts)
    if isinstance(item, StacksSnapshot):
        return "".join(
            _line("fact.put", f"{found.stack} {fact.path}", fact.value)
            for found in item.stacks
            for fact in found.facts
        )
    return "".join(
        _line(
            change.type,
            f"{change.stack or ''} {change.path or change.name or ''}".strip(),
            change.fact.value if change.fact is not None else None,
        )
        for change in item.changes
    )


def _line(kind: str, name: str, value: Any) -> str:
    shown = "" if value is None else f" {printable(text_of(value))}"
    return f"{kind} {name}".rstrip() + f"{shown}\n"


def _document(item: Snapshot | StacksSnapshot | Event) -> dict[str, Any]:
    """Return an item as JSON, without what is null."""
    if isinstance(item, Event):
        return {
            "cursor": item.cursor,
            "changes": [_without_none(asdict(change)) for change in item.changes],
        }
    snapshot = asdict(item)
    document = {"cursor": snapshot.pop("cursor"), "reset": snapshot.pop("reset")}
    return _without_none({**document, "snapshot": snapshot})


def _without_none(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None}
