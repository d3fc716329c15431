"""Commands for the past of facts: history, diff and revert."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from osc_lib import exceptions

from factstore.client import Fact, NotReverted
from factstore.osc.arguments import add_stack
from factstore.osc.display import Hidden, Lister, Row, ShortJson, ShowOne
from factstore.osc.facts import fact_fields

_COLUMNS = ("Cursor", "Type", "Value", "Updated At", "By", "Request ID")


class _NotKept(Hidden):
    """A cell with a value that the stack did not keep."""

    word = "(not kept)"


class ListChanges(Lister):
    """List the recent changes of a fact, the newest first"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("path", metavar="<path>", help="Path of the fact")
        parser.add_argument(
            "--before", metavar="<cursor>", help="List only changes before this cursor"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterator[Any]]:
        """Return the changes."""
        stack = self.stack(parsed_args)
        changes = stack.history(parsed_args.path, before=parsed_args.before)
        return _COLUMNS, (
            (
                each.cursor,
                each.type,
                *(_value(each.fact) if each.is_known else (_NotKept(None), None)),
                each.by,
                each.request_id,
            )
            for each in changes
        )


def _value(fact: Fact | None) -> tuple[Any, str | None]:
    if fact is None:
        return None, None
    hidden = fact.sensitive and fact.value is None
    return Hidden(None) if hidden else ShortJson(fact.value), fact.updated_at


class ListDifferences(Lister):
    """List the facts and members that are not the same at two cursors

    Cursors are listed by fact history, and shown by fact context show.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "since",
            metavar="<cursor>",
            nargs="?",
            help="Cursor of the earlier contents (default: the oldest that is known)",
        )
        parser.add_argument(
            "until",
            metavar="<later-cursor>",
            nargs="?",
            help="Cursor of the later contents (default: the present)",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterator[Any]]:
        """Return the differences."""
        found = self.stack(parsed_args).diff(parsed_args.since, parsed_args.until)
        facts = (
            ("fact", each.path, _value(each.before)[0], _value(each.after)[0], _by(each.after))
            for each in found.facts
        )
        members = (
            ("member", each.name, _member(each.before), _member(each.after), None)
            for each in found.members
        )
        return ("Kind", "Name", "Before", "After", "By"), chain(facts, members)


def _by(fact: Fact | None) -> str | None:
    return fact.updated_by if fact is not None else None


def _member(record: Mapping[str, Any] | None) -> ShortJson | None:
    return ShortJson(record) if record is not None else None


class RevertFact(ShowOne):
    """Set a fact to the value before its last change, or to the value at a cursor"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("path", metavar="<path>", help="Path of the fact")
        parser.add_argument(
            "--to", metavar="<cursor>", help="Set the value that the fact had at this cursor"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Set the fact, and return it."""
        try:
            fact = self.stack(parsed_args).revert(parsed_args.path, parsed_args.to)
        except NotReverted as error:
            raise exceptions.CommandError(str(error)) from None
        return fact_fields(fact, unchanged=fact.unchanged)
