"""Commands for stacks, and for the context of a stack."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from osc_lib import exceptions

from factstore.client import NotFound, StackRecord
from factstore.osc.arguments import add_stack, number
from factstore.osc.display import Command, Lister, Row, ShowOne, fields
from factstore.osc.errors import UsageError


def _fields(stack: StackRecord) -> Row:
    document = asdict(stack)
    return fields({"name": document.pop("name"), **document.pop("settings"), **document})


def _add_keep_values(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep-values",
        metavar="<number>",
        type=number,
        help="Number of earlier values that the stack keeps of each fact, 0 to 10",
    )


class ListStacks(Lister):
    """List the stacks of the project"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        parser.add_argument(
            "--project", metavar="<project-id>", help="ID of another project (admin only)"
        )
        parser.add_argument(
            "--long", action="store_true", default=False, help="List additional fields in output"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the stacks."""
        names: tuple[str, ...] = ("Name", "Description", "Updated At")
        if parsed_args.long:
            names += ("ID", "Project", "Created At", "Updated By")
        rows = (
            (
                *(stack.name, stack.settings.get("description", ""), stack.updated_at, stack.id),
                *(stack.project_id, stack.created_at, stack.updated_by),
            )
            for stack in self.client().stacks(project_id=parsed_args.project, limit=1000)
        )
        return names, (row[: len(names)] for row in rows)


class ShowStack(ShowOne):
    """Show the settings and the usage of a stack"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the stack."""
        return _fields(self.stack(parsed_args).describe())


class CreateStack(ShowOne):
    """Create a stack without facts; the first fact also creates its stack"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "--description", metavar="<description>", default="", help="Description of the stack"
        )
        _add_keep_values(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Create the stack, and return it."""
        stack = self.stack(parsed_args)
        try:
            stack.describe()
        except NotFound:
            return _fields(
                stack.configure(
                    description=parsed_args.description, keep_values=parsed_args.keep_values
                )
            )
        raise exceptions.CommandError(
            f"Stack {parsed_args.stack!r} exists. To change its settings, use"
            " 'openstack fact stack set'."
        )


class SetStack(Command):
    """Set the description of a stack, or how many earlier values it keeps"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "--description", metavar="<description>", help="New description of the stack"
        )
        _add_keep_values(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Change the stack."""
        stack = self.stack(parsed_args)
        description, keep_values = parsed_args.description, parsed_args.keep_values
        if description is None and keep_values is None:
            raise UsageError("Nothing to set. Give --description, --keep-values or both.")
        known = stack.describe()  # configure() would create the stack
        if description is None:
            description = known.settings.get("description", "")
        stack.configure(description=description, keep_values=keep_values)


class DeleteStack(Command):
    """Delete stacks and everything in them"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        parser.add_argument("stacks", metavar="<stack>", nargs="+", help="Name of a stack")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the stacks."""
        client = self.client()
        self.delete_each(
            parsed_args.stacks, lambda name: client.stack(name).delete_stack(), "stacks"
        )


class ShowContext(ShowOne):
    """Show all facts and members of a stack as one document"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "--member",
            metavar="<member>",
            help="Add this member as self, and the others as peers",
        )
        parser.add_argument(
            "--results", action="store_true", help="Include the facts below results/"
        )
        parser.add_argument(
            "--at", metavar="<cursor>", help="Show the context that the stack had at this cursor"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the context."""
        stack, at = self.stack(parsed_args), parsed_args.at
        view = {"member": parsed_args.member, "results": parsed_args.results}
        context = stack.context(**view) if at is None else stack.context_at(at, **view)
        return fields({**context.document, "etag": context.etag, "cursor": context.cursor})
