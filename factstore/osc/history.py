"""Commands for the past of facts: history and revert."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from osc_lib import exceptions

from factstore.client import Fact, NotReverted
from factstore.osc.arguments import add_stack
from factstore.osc.display import Hidden, Lister, Row, ShortJson, ShowOne
from factstore.osc.facts import fact_fields

_COLUMNS = ("Cursor", "Type", "Value", "Updated At", "By", "Request ID")


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
            (each.cursor, each.type, *_value(each.fact), each.by, each.request_id)
            for each in changes
        )


def _value(fact: Fact | None) -> tuple[Any, str | None]:
    if fact is None:
        return None, None
    hidden = fact.sensitive and fact.value is None
    return Hidden(None) if hidden else ShortJson(fact.value), fact.updated_at


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
