"""Base classes of the commands, and how they display JSON values.

A table never contains control characters: a fact could otherwise change what the terminal shows.  The
formats json and yaml contain values unchanged; value, csv and shell contain text bare and all other
values as JSON.
"""

from __future__ import annotations

import argparse
import codecs
import io
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cliff import columns
from osc_lib import exceptions
from osc_lib.command import command

from factstore.client import Client, FactstoreError, Stack
from factstore.osc.errors import UsageError

LISTED_CHARACTERS = 80
Row = tuple[tuple[str, ...], tuple[Any, ...]]
"""The names and the cells of a resource."""

_TEXT_FORMATS = ("csv", "value", "shell")
_SHELL_SPECIAL = str.maketrans({special: f"\\{special}" for special in "\\$`"})


class Json(columns.FormattableColumn[Any]):
    """A cell with a JSON value."""

    def human_readable(self) -> str:
        """Return the value for a table."""
        return printable(text_of(self._value, indent=2), "\n")

    def machine_readable(self) -> Any:
        """Return the value itself."""
        return self._value


class ShortJson(Json):
    """A cell of a list with a JSON value, which a table abbreviates."""

    def human_readable(self) -> str:
        """Return the beginning of the value."""
        text = printable(text_of(self._value))
        return text if len(text) <= LISTED_CHARACTERS else f"{text[: LISTED_CHARACTERS - 1]}…"


class ShortText(ShortJson):
    """A cell of a list with a text, of which a table shows the beginning of the first line."""

    def human_readable(self) -> str:
        """Return the beginning of the text."""
        text = printable(self._value.strip())
        return text if len(text) <= LISTED_CHARACTERS else f"{text[: LISTED_CHARACTERS - 1]}…"


class Hidden(Json):
    """A cell with a sensitive value that the service does not return."""

    word = "(sensitive)"

    def human_readable(self) -> str:
        """Return a word in place of the value."""
        return self.word


def text_of(value: Any, *, indent: int | None = None) -> str:
    """Return a string unchanged, and any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=indent)


def printable(text: str, allowed: str = "") -> str:
    """Return text with control characters escaped, as well as others that have no width."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in allowed else c.encode("unicode_escape").decode() for c in text
    )


def accept_all_characters(stream: object) -> None:
    """Let a stream accept characters that the encoding of the locale does not have.

    Where that is ASCII, nobody has chosen it, and the stream is UTF-8.  In other encodings, the
    characters are escaped.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return
    encoding = codecs.lookup(stream.encoding).name
    if encoding == "ascii":
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    elif not encoding.startswith("utf"):
        stream.reconfigure(errors="backslashreplace")


class Command(command.Command):
    """A command that prints nothing if it succeeds."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser of the arguments."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        self.add_arguments(parser)
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of the command to a parser."""

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command, and return its status."""
        for stream in (self.app.stdout, sys.stdin):
            accept_all_characters(stream)
        try:
            status: int = super().run(parsed_args)
        except UsageError as error:
            self.log.error("%s", error)
            return 2
        return status

    def client(self) -> Client:
        """Return the client for the selected cloud."""
        found: Client = self.app.client_manager.contextualization
        return found

    def stack(self, parsed_args: argparse.Namespace) -> Stack:
        """Return the stack that the arguments name."""
        return self.client().stack(parsed_args.stack)

    def delete_each(
        self, names: Sequence[str], delete: Callable[[str], object], plural: str
    ) -> None:
        """Delete resources by name, and go on after an error.

        :raises osc_lib.exceptions.CommandError: some of several resources were not deleted.
        """
        if len(names) == 1:
            delete(names[0])
            return
        failed = 0
        for name in names:
            try:
                delete(name)
            except FactstoreError as error:
                failed += 1
                self.log.error("Failed to delete %s: %s", name, error)
        if failed:
            raise exceptions.CommandError(f"{failed} of {len(names)} {plural} were not deleted.")


class ShowOne(Command, command.ShowOne):
    """A command that prints one resource."""

    def produce_output(
        self, parsed_args: argparse.Namespace, column_names: Sequence[str], data: Iterable[Any]
    ) -> int:
        """Print the fields of the resource."""
        row = [_cell(value, parsed_args.formatter) for value in data]
        status: int = super().produce_output(parsed_args, column_names, row)
        return status


class Lister(Command, command.Lister):
    """A command that prints a list."""

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        """Print the rows of the list."""
        rows = [[_cell(value, parsed_args.formatter) for value in row] for row in data]
        status: int = super().produce_output(parsed_args, column_names, rows)
        return status


def _cell(value: Any, formatter: str) -> Any:
    if formatter == "table":
        return printable(value, "\n") if isinstance(value, str) else value
    if formatter not in _TEXT_FORMATS:
        return value
    if isinstance(value, columns.FormattableColumn):
        value = text_of(value.machine_readable())
    # The formatter writes NAME="VALUE" for a shell to evaluate, and escapes only quotation marks.
    is_evaluated = formatter == "shell" and isinstance(value, str)
    return value.translate(_SHELL_SPECIAL) if is_evaluated else value


def fields(document: dict[str, Any]) -> Row:
    """Return the names and the cells of a resource for :class:`ShowOne`."""
    cells = tuple(
        Json(value) if isinstance(value, (dict, list, tuple)) else value
        for value in document.values()
    )
    return tuple(document), cells
