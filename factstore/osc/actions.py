"""Commands for actions.

The exit status of a command that waits is 0 if the action is complete, 1 if it has failed on a member
or was cancelled, and 2 if it has timed out.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from factstore.client import ActionRecord, ActionResult
from factstore.osc.arguments import add_stack, number, read_text, split_pair, typed_values
from factstore.osc.display import Command, Json, Lister, Row, ShowOne, fields
from factstore.osc.waiting import TIMED_OUT, Waiting

_STATUSES = {"complete": 0, "failed": 1, "cancelled": 1, "timed_out": TIMED_OUT}
_RESULT_COLUMNS = ("Member", "State", "Status Code", "Output")
_COLUMNS = ("ID", "Hook", "Target", "State", "Members", "Created At")


class RunAction(Waiting, Lister):
    """Run a hook once on members, and wait for the results

    The action is for the members that have joined. The exit status is 0 if it is complete on all of
    them, 1 if it has failed on one or was cancelled, and 2 if it has timed out. After an interrupt, the
    action continues: see "fact action cancel".
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "hook", metavar="<hook>", help="Hook that runs, such as script or ansible"
        )
        target = parser.add_mutually_exclusive_group(required=True)
        target.add_argument("--member", metavar="<member>", help="Member that runs the action")
        target.add_argument("--group", metavar="<group>", help="Group whose members run the action")
        text = parser.add_mutually_exclusive_group()
        text.add_argument(
            "--command", metavar="<command>", help="Text for the hook, such as a shell command"
        )
        text.add_argument(
            "--from-file",
            metavar="<file>",
            help="File with the text for the hook, such as a script; - for standard input",
        )
        for name, metavar, help_text in (
            ("option", "<name>=<value>", "Option of the hook; JSON, or else text"),
            ("input", "<name>=<value>", "Value of an input; JSON, or else text"),
            ("input-fact", "<name>=<path>", "Fact whose value is an input, such as a secret"),
        ):
            parser.add_argument(
                f"--{name}",
                metavar=metavar,
                action="append",
                default=[],
                help=f"{help_text}. Repeat the option for several",
            )
        for name, metavar, default, help_text in (
            ("max-parallel", "<number>", None, "Members that run at the same time (default: all)"),
            ("timeout", "<seconds>", 600, "Seconds after which the action ends (default: 600)"),
            ("ttl", "<seconds>", 86400, "Seconds after that for which it is kept (default: 86400)"),
        ):
            parser.add_argument(
                f"--{name}", metavar=metavar, type=number, default=default, help=help_text
            )
        parser.add_argument(
            "--no-wait", action="store_true", help="Do not wait until the action has ended"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Run the action, and return the results."""
        args, stack = parsed_args, self.stack(parsed_args)
        made = stack.run_action(
            args.hook,
            member=args.member,
            group=args.group,
            config=read_text(args.from_file) if args.from_file else args.command or "",
            options=typed_values(args.option, "--option"),
            inputs=typed_values(args.input, "--input"),
            input_facts=dict(split_pair(each, "--input-fact") for each in args.input_fact),
            max_parallel=args.max_parallel,
            timeout=args.timeout,
            ttl=args.ttl,
        )
        action = stack.action(made.id)
        if args.no_wait:
            self.app.stderr.write(f"The action {made.id} has begun.\n")
            return _RESULT_COLUMNS, map(_result_row, made.results)
        ended = action.wait(math.inf, on_progress=self._report)
        self.progress.clear()
        self.status = _STATUSES[ended.state]
        return _RESULT_COLUMNS, map(_result_row, action.results())

    def _report(self, found: ActionRecord) -> None:
        running = [each.member for each in found.results if not each.ended]
        total = len(found.results)
        self.progress.report(total - len(running), total, running)


def _result_row(result: ActionResult) -> tuple[Any, ...]:
    printed = result.stdout or result.stderr or result.message
    if result.state == "complete":
        output = printed
    else:
        output = "\n".join(filter(None, (result.reason, result.stderr or printed)))
    return result.member, result.state, result.status_code, output.strip("\n")


class ListActions(Lister):
    """List the actions of a stack in the order in which they were created"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the actions."""
        return _COLUMNS, (_row(each) for each in self.stack(parsed_args).actions())


def _row(found: ActionRecord) -> tuple[Any, ...]:
    target = f"member {found.member}" if found.member is not None else f"group {found.group}"
    return found.id, found.hook, target, found.state, Json(dict(found.counts)), found.created_at


class _OfAction(Command):
    """A command for one action."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("action", metavar="<action>", help="Id of the action")


class ShowAction(Waiting, _OfAction, ShowOne):
    """Show an action with its results

    With --wait, the exit status is 0 if the action is complete, 1 if it has failed or was cancelled,
    and 2 if it has timed out.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument("--wait", action="store_true", help="Wait until the action has ended")

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the action."""
        action = self.stack(parsed_args).action(parsed_args.action)
        found = action.wait(math.inf if parsed_args.wait else 0)
        if parsed_args.wait:
            self.status = _STATUSES[found.state]
        document = asdict(found)
        del document["etag"]
        document["results"] = [asdict(each) for each in action.results()]
        return fields(document)


class CancelAction(_OfAction):
    """Cancel an action: no further member starts, and agents end what they run"""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Cancel the action."""
        self.stack(parsed_args).action(parsed_args.action).cancel()


class DeleteAction(Command):
    """Delete actions that may or may not exist, with their results"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("actions", metavar="<action>", nargs="+", help="Id of the action")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the actions."""
        stack = self.stack(parsed_args)
        self.delete_each(parsed_args.actions, lambda each: stack.action(each).delete(), "actions")
