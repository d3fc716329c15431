"""Commands for configurations."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from factstore.client import Configuration, ConfigurationRecord, Stack
from factstore.client.transport import LONGEST_WAIT
from factstore.osc.arguments import add_stack, number, read_text, split_pair, typed_values
from factstore.osc.display import Command, Lister, Row, ShortJson, ShortText, ShowOne, fields
from factstore.osc.errors import UsageError

_ENDED = ("complete", "failed", "lost")
_COLUMNS = ("Configuration", "State", "Waits For", "Action", "Percent", "Message", "Outputs")


def _fields(configuration: ConfigurationRecord) -> Row:
    document = asdict(configuration)
    del document["etag"]
    return fields(document)


def _find(stack: Stack, key: str) -> Configuration:
    """Return a configuration by its member and name.

    :raises UsageError: there is no slash.
    """
    member, slash, name = key.partition("/")
    if not slash:
        raise UsageError(f"A configuration is <member>/<name>, not {key!r}.")
    return stack.configuration(member, name)


class _OfConfiguration(Command):
    """A command for one configuration."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "configuration", metavar="<member>/<name>", help="Configuration of a member"
        )


class SetConfiguration(_OfConfiguration, ShowOne):
    """Create a configuration, or change its definition so that it runs again"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument(
            "group", metavar="<group>", help="Hook that deploys it, such as script or ansible"
        )
        parser.add_argument(
            "--from-file",
            metavar="<file>",
            help="File with the text for the hook, such as a script; - for standard input",
        )
        for name, metavar, text in (
            ("option", "<name>=<value>", "Option of the hook; JSON, or else text"),
            ("input", "<name>=<value>", "Value of an input; JSON, or else text"),
            ("input-fact", "<name>=<path>", "Fact whose value is an input, such as a secret"),
            ("output", "<name>", "Name of an output"),
            ("depends-on", "<member>/<name>", "Configuration that must be complete first"),
        ):
            parser.add_argument(
                f"--{name}",
                metavar=metavar,
                action="append",
                default=[],
                help=f"{text}. Repeat the option for several",
            )
        parser.add_argument(
            "--action",
            metavar="<action>",
            choices=["CREATE", "UPDATE", "DELETE", "SUSPEND", "RESUME"],
            default="CREATE",
            help="CREATE (default), UPDATE, DELETE (undeploy), SUSPEND or RESUME",
        )
        parser.add_argument(
            "--on-interrupt",
            metavar="<policy>",
            choices=["fail", "retry"],
            default="fail",
            help="Let a run that was interrupted fail (default), or retry it",
        )
        parser.add_argument(
            "--timeout",
            metavar="<seconds>",
            type=number,
            default=3600,
            help="Seconds after which the run fails (default: 3600)",
        )
        parser.add_argument(
            "--trigger",
            metavar="<text>",
            default="",
            help="Any text, such as a version; with another one, an equal definition runs again",
        )
        parser.add_argument(
            "--if-absent", action="store_true", help="Create it only if it does not exist"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Set the configuration, and return it."""
        args = parsed_args
        return _fields(
            _find(self.stack(args), args.configuration).put(
                args.group,
                if_absent=args.if_absent,
                config=read_text(args.from_file) if args.from_file else "",
                options=typed_values(args.option, "--option"),
                inputs=typed_values(args.input, "--input"),
                input_facts=dict(split_pair(each, "--input-fact") for each in args.input_fact),
                outputs=args.output,
                depends_on=args.depends_on,
                action=args.action,
                on_interrupt=args.on_interrupt,
                timeout=args.timeout,
                trigger=args.trigger,
            )
        )


class ListConfigurations(Lister):
    """List the configurations of a stack in their order"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "--member", metavar="<member>", help="List only the configurations of this member"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the configurations."""
        found = self.stack(parsed_args).configurations(parsed_args.member)
        return _COLUMNS, (_row(each) for each in (found.configurations if found else ()))


def _row(found: ConfigurationRecord) -> tuple[Any, ...]:
    result = found.result
    return (
        *(f"{found.member}/{found.name}", found.state, " ".join(found.waits_for), found.action),
        result.percent if result else None,
        ShortText((result.reason or result.message) if result else ""),
        ShortJson(result.outputs if result else {}),
    )


class ShowConfiguration(_OfConfiguration, ShowOne):
    """Show a configuration with its result"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument(
            "--wait",
            action="store_true",
            help="Wait until the configuration is complete, failed or lost",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the configuration."""
        configuration = _find(self.stack(parsed_args), parsed_args.configuration)
        while True:
            found = configuration.show(wait=LONGEST_WAIT if parsed_args.wait else 0)
            if found is not None and (not parsed_args.wait or found.state in _ENDED):
                return _fields(found)


class DeleteConfiguration(Command):
    """Delete configurations that may or may not exist, with their results; nothing is undeployed"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "configurations",
            metavar="<member>/<name>",
            nargs="+",
            help="Configuration of a member",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the configurations."""
        stack = self.stack(parsed_args)
        self.delete_each(
            parsed_args.configurations, lambda key: _find(stack, key).delete(), "configurations"
        )
