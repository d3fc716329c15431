"""Commands for alarms."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from factstore.client import AlarmRecord
from factstore.osc.arguments import add_stack, number, parse_json
from factstore.osc.display import Command, Lister, Row, ShortJson, ShowOne, fields


def _fields(alarm: AlarmRecord) -> Row:
    document = asdict(alarm)
    del document["etag"]
    document["for"] = document.pop("for_seconds")
    return fields(document)


class _OfAlarm(Command):
    """A command for one alarm."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("alarm", metavar="<alarm>", help="Name of the alarm")


class SetAlarm(_OfAlarm, ShowOne):
    """Create an alarm, or change its definition"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument(
            "condition",
            metavar="<condition>",
            help='Condition in JSON, such as \'{"aggregate": {"function": "avg", "fact": "load", '
            '"group": "web", "at_least": 0.8, "clear": 0.5}}\'',
        )
        for name, text in (
            ("for", "Seconds for which the condition must have changed before the state does"),
            ("quiet", "Seconds after a change of the state in which it does not change again"),
            ("repeat", "Seconds between repetitions while the alarm is raised"),
        ):
            parser.add_argument(
                f"--{name}",
                dest=f"{name}_seconds",
                metavar="<seconds>",
                type=number,
                default=0,
                help=f"{text} (default: 0)",
            )
        parser.add_argument(
            "--no-data",
            metavar="<state>",
            choices=["keep", "ok", "alarm", "no_data"],
            default="keep",
            help="State without data: keep (default), ok, alarm or no_data",
        )
        parser.add_argument(
            "--if-absent", action="store_true", help="Create the alarm only if it does not exist"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Set the alarm, and return it."""
        alarm = self.stack(parsed_args).alarm(parsed_args.alarm)
        return _fields(
            alarm.set(
                parse_json(parsed_args.condition, "<condition>"),
                for_seconds=parsed_args.for_seconds,
                quiet=parsed_args.quiet_seconds,
                repeat=parsed_args.repeat_seconds,
                no_data=parsed_args.no_data,
                create_only=parsed_args.if_absent,
            )
        )


class ListAlarms(Lister):
    """List the alarms of a stack"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the alarms."""
        names = ("Name", "State", "Value", "Changed At", "Condition", "Reason")
        return names, (
            (
                *(alarm.name, alarm.state, alarm.value, alarm.changed_at),
                *(ShortJson(alarm.condition), alarm.reason),
            )
            for alarm in self.stack(parsed_args).alarms()
        )


class ShowAlarm(_OfAlarm, ShowOne):
    """Show an alarm with the present evaluation of its condition"""

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the alarm."""
        return _fields(self.stack(parsed_args).alarm(parsed_args.alarm).show())


class DeleteAlarm(Command):
    """Delete alarms that may or may not exist"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("alarms", metavar="<alarm>", nargs="+", help="Name of an alarm")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the alarms."""
        stack = self.stack(parsed_args)
        self.delete_each(parsed_args.alarms, lambda name: stack.alarm(name).delete(), "alarms")
