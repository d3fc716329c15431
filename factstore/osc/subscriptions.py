"""Commands for subscriptions."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from factstore.client import Subscription, SubscriptionRecord
from factstore.osc.arguments import number
from factstore.osc.display import Command, Lister, Row, ShowOne, fields

_FILTERS = (
    ("stacks", "stack", "Name of a stack, in which '*' stands for any characters and '?' for one"),
    ("types", "type", "Type of a change, such as fact.put"),
    ("prefixes", "path", "Path at or below which facts are delivered"),
    ("groups", "group", "Group of members"),
    ("alarms", "alarm", "Name of an alarm"),
)


class _OfSubscription(Command):
    """A command for one subscription."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        parser.add_argument("subscription", metavar="<subscription>", help="ID of the subscription")

    def subscription(self, parsed_args: argparse.Namespace) -> Subscription:
        """Return the subscription that the arguments name."""
        return self.client().subscription(parsed_args.subscription)


def _fields(subscription: SubscriptionRecord) -> Row:
    document = asdict(subscription)
    del document["etag"]
    if document["secret"] is None:
        del document["secret"]
    return fields(document)


def _add_definition(parser: argparse.ArgumentParser) -> None:
    """Add the options that define what a subscription delivers."""
    parser.add_argument("--name", metavar="<name>", help="Name for people")
    for field, noun, text in _FILTERS:
        parser.add_argument(
            f"--{noun}",
            dest=field,
            metavar=f"<{noun}>",
            action="append",
            help=f"{text}; may be given several times (default: all)",
        )
    parser.add_argument(
        "--max-events",
        metavar="<number>",
        type=number,
        help="Most revisions with events in one message, 1 to 256",
    )
    parser.add_argument(
        "--max-delay",
        metavar="<seconds>",
        type=number,
        help="Seconds for which an event may wait for others, 0 to 60",
    )


def _definition(parsed_args: argparse.Namespace) -> dict[str, Any]:
    names = ("name", *(field for field, _, _ in _FILTERS), "max_events", "max_delay")
    given = {name: getattr(parsed_args, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


class CreateSubscription(ShowOne):
    """Register a listener, and show its secret, which is not shown again"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        parser.add_argument(
            "target",
            metavar="<target>",
            help="Where events are delivered: https://HOST/PATH, zaqar:?queue_name=NAME, or "
            "heat-signal:URL",
        )
        _add_definition(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Create the subscription, and return it."""
        return _fields(self.client().subscribe(parsed_args.target, **_definition(parsed_args)))


class ListSubscriptions(Lister):
    """List the subscriptions of the project"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        parser.add_argument(
            "--project", metavar="<project-id>", help="ID of another project (admin only)"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the subscriptions."""
        names = ("ID", "Name", "Target", "State", "Delivered", "Failing Since")
        return names, (
            (
                *(found.id, found.name, found.target, found.state),
                *(found.delivery["delivered"], found.delivery["failing_since"]),
            )
            for found in self.client().subscriptions(project_id=parsed_args.project)
        )


class ShowSubscription(_OfSubscription, ShowOne):
    """Show a subscription and its progress, without its secret"""

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the subscription."""
        return _fields(self.subscription(parsed_args).show())


class SetSubscription(_OfSubscription):
    """Change what a subscription delivers, pause it, or resume it"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        _add_definition(parser)
        states = parser.add_mutually_exclusive_group()
        states.add_argument("--pause", action="store_true", help="Pause the delivery")
        states.add_argument("--resume", action="store_true", help="Resume the delivery")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Change the subscription."""
        changes = _definition(parsed_args)
        if parsed_args.pause or parsed_args.resume:
            changes["paused"] = parsed_args.pause
        self.subscription(parsed_args).update(**changes)


class UnsetSubscription(_OfSubscription):
    """Remove filters of a subscription, so that it delivers everything again"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        for field, noun, _ in _FILTERS:
            parser.add_argument(
                f"--{noun}", dest=field, action="store_true", help=f"Remove the filter of {field}"
            )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Change the subscription."""
        named = [field for field, _, _ in _FILTERS if getattr(parsed_args, field)]
        changes: dict[str, Any] = {field: [] for field in named}
        self.subscription(parsed_args).update(**changes)


class DeleteSubscription(Command):
    """Delete subscriptions; nothing is delivered afterwards"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        parser.add_argument(
            "subscriptions", metavar="<subscription>", nargs="+", help="ID of a subscription"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the subscriptions."""
        client = self.client()
        self.delete_each(
            parsed_args.subscriptions,
            lambda found: client.subscription(found).delete(),
            "subscriptions",
        )


class ConfirmSubscription(_OfSubscription, ShowOne):
    """Confirm a subscription with the challenge that its target received"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument("challenge", metavar="<challenge>", help="The challenge")

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Confirm the subscription, and return it."""
        return _fields(self.subscription(parsed_args).confirm(parsed_args.challenge))


class TestSubscription(_OfSubscription, ShowOne):
    """Request a test message; 'fact subscription delivery list' shows its result"""

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Request the message, and return the subscription."""
        return _fields(self.subscription(parsed_args).test())


class ReplaySubscription(_OfSubscription, ShowOne):
    """Deliver the events after a cursor again"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument("cursor", metavar="<cursor>", help="A cursor of the service")

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Change the position, and return the subscription."""
        return _fields(self.subscription(parsed_args).replay(parsed_args.cursor))


class RotateSubscription(_OfSubscription, ShowOne):
    """Replace the secret, and show the new one, which is not shown again"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument(
            "--overlap",
            metavar="<seconds>",
            type=number,
            help="Seconds for which messages are also signed with the former secret (default: 86400)",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Replace the secret, and return the subscription."""
        return _fields(self.subscription(parsed_args).rotate(overlap=parsed_args.overlap))


class ListDeliveries(_OfSubscription, Lister):
    """List the last deliveries of a subscription, the newest first"""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the deliveries."""
        names = (
            "At",
            "Kind",
            "Events",
            "Attempts",
            "Delivered",
            "Status",
            "Latency",
            "Error",
            "ID",
        )
        return names, (
            (
                *(each.at, each.kind, each.events, each.attempts, each.delivered, each.status),
                *(each.latency_ms, each.error, each.id),
            )
            for each in self.subscription(parsed_args).deliveries()
        )
