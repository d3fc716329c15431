"""The commands that wait: for facts, for a waiter and for convergence.

Their exit status is 0 if the wait was met, 1 if it failed or an error occurred, and 2 if time ran out.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

from factstore.client import Convergence, WaiterRecord
from factstore.osc.arguments import add_stack, number, parse_json
from factstore.osc.convergence import convergence_fields
from factstore.osc.display import Row, ShowOne, fields
from factstore.osc.facts import fact_fields
from factstore.osc.waiting import TIMED_OUT, Waiting

TIMEOUT = 3600  # seconds
_STATUSES = {"met": 0, "failed": 1, "timed_out": TIMED_OUT, "pending": TIMED_OUT}


class _Wait(Waiting, ShowOne):
    """A command that waits and shows the outcome."""

    def report(self, record: WaiterRecord) -> None:
        """Show the progress of a waiter."""
        self.progress.report(record.satisfied or 0, record.needed or 0, record.missing)

    def outcome(self, ended: WaiterRecord) -> Row:
        """Set the exit status, and return the fields of a waiter."""
        self.progress.clear()
        self.status = _STATUSES[ended.state]
        names = ("state", "satisfied", "needed", "missing", "failing", "reason")
        return fields({name: getattr(ended, name) for name in names})


class WaitForFacts(_Wait):
    """Wait for a fact or for a number of facts

    With one <path>, the command waits until the fact exists, and shows it. If <path> has a * for any
    one segment, or with a comparison, --count or --fail-on, it arms a waiter for that and deletes
    it afterwards. Comparisons are --equals, --one-of, --match, --at-least and --at-most; only the last
    two can be given together. The exit status is 0 if the wait was met, 1 if it failed or an error
    occurred, and 2 if time ran out.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "path",
            metavar="<path>",
            help="Path of the fact, such as nodes/head/ip or nodes/*/state",
        )
        parser.add_argument(
            "--equals",
            metavar="<value>",
            help="Required value of the facts: a text, which no number equals, unless --json is set",
        )
        # --in would be taken for OpenStackClient's own --insecure.
        parser.add_argument(
            "--one-of",
            metavar="<value>",
            action="append",
            help="A value that the facts may have (repeat for several)",
        )
        parser.add_argument(
            "--match",
            metavar="<pattern>",
            help="Pattern for the facts' texts: * stands for any run of characters, ? for one",
        )
        parser.add_argument(
            "--at-least", metavar="<number>", help="Lowest number that the facts may have"
        )
        parser.add_argument(
            "--at-most", metavar="<number>", help="Highest number that the facts may have"
        )
        parser.add_argument(
            "--fail-on", metavar="<value>", help="Fail if one of the facts has this value"
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="Parse the values of --equals, --one-of and --fail-on as JSON",
        )
        parser.add_argument(
            "--count",
            metavar="<count>",
            type=number,
            help="Number of facts to wait for (default: 1)",
        )
        _add_timeout(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Wait, and return the fact or the outcome of the waiter."""
        stack, timeout = self.stack(parsed_args), parsed_args.timeout
        conditions = _conditions(parsed_args)
        if conditions is None:
            self.progress.report(0, 1, [parsed_args.path])
            fact = stack.wait(parsed_args.path, timeout)
            self.progress.clear()
            return fact_fields(fact)
        return self.outcome(
            stack.wait_condition(**conditions, timeout=timeout, on_progress=self.report)
        )


class WaitForWaiter(_Wait):
    """Wait until a waiter ends

    The exit status is 0 if the waiter was met, 1 if it failed or an error occurred, and 2 if time ran
    out.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("waiter", metavar="<waiter>", help="Name of the waiter")
        parser.add_argument(
            "--timeout",
            metavar="<seconds>",
            type=number,
            default=math.inf,
            help="Seconds to wait (default: until the waiter ends, which has a timeout of its own)",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Wait, and return the outcome."""
        waiter = self.stack(parsed_args).waiter(parsed_args.waiter)
        return self.outcome(waiter.wait(parsed_args.timeout, on_progress=self.report))


class WaitForConvergence(_Wait):
    """Wait until all members have applied the newest change of a stack

    The exit status is 0 if they have, 1 if an error occurred, and 2 if time ran out.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "--group", metavar="<group>", help="Wait only for members of this group"
        )
        _add_timeout(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Wait, and return the convergence."""

        def report(found: Convergence) -> None:
            members = len(found.applied)
            self.progress.report(members - len(found.lagging), members, found.lagging)

        found = self.stack(parsed_args).wait_converged(
            parsed_args.timeout, group=parsed_args.group, on_progress=report
        )
        self.progress.clear()
        self.status = 0 if found.converged else TIMED_OUT
        return convergence_fields(found)


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        metavar="<seconds>",
        type=number,
        default=TIMEOUT,
        help=f"Seconds to wait (default: {TIMEOUT})",
    )


def _conditions(parsed_args: argparse.Namespace) -> dict[str, Any] | None:
    """Return the conditions of a waiter, or None to wait for the existence of one fact."""
    path, count = parsed_args.path, parsed_args.count

    def value(text: str, option: str) -> Any:
        return parse_json(text, option) if parsed_args.json else text

    test: dict[str, Any] = {}
    if parsed_args.equals is not None:
        test["equals"] = value(parsed_args.equals, "--equals")
    if parsed_args.one_of is not None:
        test["in"] = [value(text, "--one-of") for text in parsed_args.one_of]
    if parsed_args.match is not None:
        test["match"] = parsed_args.match
    for name in ("at_least", "at_most"):
        if (text := getattr(parsed_args, name)) is not None:
            test[name] = parse_json(text, f"--{name.replace('_', '-')}")
    if "*" not in path.split("/") and not test and parsed_args.fail_on is None and count is None:
        return None
    success: dict[str, Any] = {"facts": path, **(test or {"present": True})}
    if count is not None:
        success["count"] = count
    found: dict[str, Any] = {"success": success}
    if parsed_args.fail_on is not None:
        found["failure"] = {"facts": path, "equals": value(parsed_args.fail_on, "--fail-on")}
    return found
