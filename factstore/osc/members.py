"""Commands for members and their read sets."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from factstore.client import Member, MemberRecord
from factstore.osc.arguments import add_generation, add_stack, number, split_pair
from factstore.osc.display import Command, Lister, Row, ShortJson, ShowOne, fields


def _document(member: MemberRecord) -> dict[str, object]:
    document = asdict(member)
    del document["unchanged"]
    return document


def _fields(member: MemberRecord) -> Row:
    return fields(_document(member))


class _OfMember(Command):
    """A command for one member."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("member", metavar="<member>", help="Name of the member")

    def member(self, parsed_args: argparse.Namespace) -> Member:
        """Return the member that the arguments name."""
        return self.stack(parsed_args).member(
            parsed_args.member, generation=getattr(parsed_args, "generation", None)
        )


class ListMembers(Lister):
    """List the live members of a stack"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("--group", metavar="<group>", help="List only members of this group")
        parser.add_argument(
            "--declared",
            metavar="<id>",
            help="List only members that are declared with this id, such as a server's",
        )
        parser.add_argument(
            "--reads",
            metavar="<path>",
            help="List only members that a change of the fact at this path concerns",
        )
        parser.add_argument(
            "--long", action="store_true", default=False, help="List additional fields in output"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the members."""
        names: tuple[str, ...] = ("Name", "Group", "State", "Updated At")
        if parsed_args.long:
            names += ("Declared", "TTL", "Attributes", "Joined At", "Generation", "Updated By")
        members = self.stack(parsed_args).members(
            group=parsed_args.group, declared=parsed_args.declared, reads=parsed_args.reads
        )
        rows = (
            (
                *(m.name, m.group, m.state, m.updated_at, m.declared, m.ttl),
                *(ShortJson(m.attributes), m.joined_at, m.generation, m.updated_by),
            )
            for m in members
        )
        return names, (row[: len(names)] for row in rows)


class ShowMember(_OfMember, ShowOne):
    """Show a member"""

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the member, and the seconds since its last heartbeat."""
        member = self.member(parsed_args)
        document = _document(member.show())
        return fields({**document, "heartbeat_age": member.heartbeat_age()})


class CreateMember(_OfMember, ShowOne):
    """Declare a member that an agent joins as later, or join as a member

    A declared member counts as awaited, and does not expire until an agent has joined under its name.
    Without --declared, the member expires after --ttl seconds unless an agent sends heartbeats.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument("--group", metavar="<group>", required=True, help="Group of the member")
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--declared", metavar="<id>", help="Declare the member with this id, such as a server's"
        )
        how.add_argument(
            "--ttl",
            metavar="<seconds>",
            type=number,
            help="Seconds without a heartbeat after which the member expires",
        )
        parser.add_argument(
            "--attribute",
            metavar="<name>=<value>",
            action="append",
            default=[],
            dest="attributes",
            help="Attribute of the member, a string (repeat option for several)",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Declare or join, and return the member."""
        member = self.member(parsed_args)
        attributes = dict(split_pair(each, "--attribute") for each in parsed_args.attributes)
        if parsed_args.declared is not None:
            declared = member.declare(
                parsed_args.group, parsed_args.declared, attributes=attributes or None
            )
            return _fields(declared)
        joined = member.join(parsed_args.group, ttl=parsed_args.ttl, attributes=attributes or None)
        return _fields(joined)


class SetMember(_OfMember):
    """Set the state of a member"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument(
            "--state",
            metavar="<state>",
            required=True,
            choices=["ready", "draining"],
            help="New state: ready, or draining for a member that no change waits for",
        )
        add_generation(parser, "Set the state")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Change the member."""
        member = self.member(parsed_args)
        if parsed_args.state == "ready":
            member.ready()
        else:
            member.drain()


class DeleteMember(Command):
    """Remove members from a stack, and delete the facts bound to them"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("members", metavar="<member>", nargs="+", help="Name of a member")
        parser.add_argument(
            "--reason", metavar="<reason>", help="Why the members depart, in one word"
        )
        parser.add_argument(
            "--declared",
            metavar="<id>",
            help="Remove the members only if they are declared with this id",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Remove the members."""
        stack = self.stack(parsed_args)
        self.delete_each(
            parsed_args.members,
            lambda name: stack.member(name).depart(
                reason=parsed_args.reason, declared=parsed_args.declared
            ),
            "members",
        )


class ShowReadSet(_OfMember, ShowOne):
    """Show the facts and members of which a change concerns a member"""

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the read set."""
        return fields(self.member(parsed_args).read_set())


class CreateReadSet(_OfMember, ShowOne):
    """Create or replace the read set of a member: only changes of what it names concern the member"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        for noun, text in (
            ("fact", "Path of a fact or a folder, which can have * for any one segment"),
            ("member", "Name of a member; * for all members"),
            ("group", "Group of which all members are read"),
        ):
            parser.add_argument(
                f"--{noun}",
                metavar=f"<{noun}>",
                action="append",
                default=[],
                dest=f"{noun}s",
                help=f"{text} (repeat option for several)",
            )
        add_generation(parser, "Store the read set")

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Store the read set, and return it."""
        member = self.member(parsed_args)
        member.store_read_set(
            parsed_args.facts, members=parsed_args.members, groups=parsed_args.groups
        )
        return fields(member.read_set())


class DeleteReadSet(_OfMember):
    """Delete the read set of a member, so that every change concerns it"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        add_generation(parser, "Delete the read set")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Delete the read set."""
        self.member(parsed_args).delete_read_set()
