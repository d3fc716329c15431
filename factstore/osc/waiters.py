"""Commands for waiters.  :mod:`factstore.osc.wait` waits for one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from factstore.client import WaiterRecord
from factstore.osc.arguments import add_stack, number, parse_json
from factstore.osc.display import Command, Lister, Row, ShortJson, ShowOne, fields


class _OfWaiter(Command):
    """A command for one waiter."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("waiter", metavar="<waiter>", help="Name of the waiter")


def _fields(waiter: WaiterRecord) -> Row:
    document = asdict(waiter)
    del document["etag"]  # only some of the responses have it
    return fields(document)


class CreateWaiter(_OfWaiter, ShowOne):
    """Arm a waiter; one that has ended is armed again"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument(
            "--success",
            metavar="<condition>",
            required=True,
            help='Condition in JSON, such as \'{"facts": "nodes/*/state", "equals": "up"}\'',
        )
        parser.add_argument(
            "--failure", metavar="<condition>", help="Condition in JSON that makes the waiter fail"
        )
        parser.add_argument(
            "--timeout",
            metavar="<seconds>",
            type=number,
            help="Seconds after which the waiter times out",
        )
        parser.add_argument(
            "--extend-on-progress",
            action="store_true",
            help="Restart the timeout whenever there is progress",
        )
        parser.add_argument(
            "--fail-when-stuck",
            metavar="<seconds>",
            type=number,
            help="Seconds after which the waiter fails if members wait for each other or for what will "
            "not come, so that it cannot be met",
        )
        parser.add_argument(
            "--if-absent", action="store_true", help="Arm the waiter only if it does not exist"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Arm the waiter, and return it."""
        failure = parsed_args.failure
        waiter = (
            self.stack(parsed_args)
            .waiter(parsed_args.waiter)
            .arm(
                parse_json(parsed_args.success, "--success"),
                failure=None if failure is None else parse_json(failure, "--failure"),
                timeout=parsed_args.timeout,
                extend_on_progress=parsed_args.extend_on_progress,
                fail_when_stuck=parsed_args.fail_when_stuck,
                create_only=parsed_args.if_absent,
            )
        )
        return _fields(waiter)


class ListWaiters(Lister):
    """List the waiters of a stack"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the waiters."""
        names = ("Name", "State", "Success", "Failure", "Timeout", "Reason")
        return names, (
            (
                *(waiter.name, waiter.state, ShortJson(waiter.success), ShortJson(waiter.failure)),
                *(waiter.timeout, waiter.reason),
            )
            for waiter in self.stack(parsed_args).waiters()
        )


class ShowWaiter(_OfWaiter, ShowOne):
    """Show a waiter with its progress and its signals"""

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the waiter."""
        return _fields(self.stack(parsed_args).waiter(parsed_args.waiter).show())


class SignalWaiter(_OfWaiter, ShowOne):
    """Send a signal to a waiter, as to a wait condition of Heat"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument(
            "--status",
            metavar="<status>",
            choices=["SUCCESS", "FAILURE"],
            default="SUCCESS",
            help="SUCCESS (default) or FAILURE",
        )
        parser.add_argument("--reason", metavar="<reason>", help="Reason, a text")
        parser.add_argument(
            "--data", metavar="<data>", help="Data for readers of the waiter, in JSON"
        )
        parser.add_argument(
            "--id",
            metavar="<id>",
            help="ID of the signal, which replaces an earlier one with this id",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Send the signal, and return the waiter."""
        data = parsed_args.data
        waiter = (
            self.stack(parsed_args)
            .waiter(parsed_args.waiter)
            .signal(
                parsed_args.status,
                reason=parsed_args.reason,
                data=None if data is None else parse_json(data, "--data"),
                identifier=parsed_args.id,
            )
        )
        return _fields(waiter)


class DeleteWaiter(Command):
    """Delete waiters that may or may not exist"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("waiters", metavar="<waiter>", nargs="+", help="Name of a waiter")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the waiters."""
        stack = self.stack(parsed_args)
        self.delete_each(parsed_args.waiters, lambda name: stack.waiter(name).delete(), "waiters")
