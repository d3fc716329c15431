"""Commands for grants."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from factstore.client import GrantRecord
from factstore.osc.arguments import add_stack, number
from factstore.osc.display import Command, Lister, Row, ShowOne, fields


class _OfGrant(Command):
    """A command for one grant."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("grant", metavar="<grant>", help="ID of the grant")


def _fields(grant: GrantRecord) -> Row:
    document = asdict(grant)
    del document["remaining"]
    if document["token"] is None:
        del document["token"]
    return fields(document)


class CreateGrant(ShowOne):
    """Issue a grant, and show its token, which is not shown again"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument(
            "--role",
            metavar="<role>",
            choices=["agent", "reader"],
            default="agent",
            help="agent (default), which needs --member or --group, or reader",
        )
        parser.add_argument("--member", metavar="<member>", help="Member that the grant is for")
        parser.add_argument(
            "--group",
            metavar="<group>",
            help="Only group that the member may join; without --member, the grant is for the group and"
            " can issue grants for its members",
        )
        parser.add_argument(
            "--ttl", metavar="<seconds>", type=number, help="Seconds after which the grant expires"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Issue the grant, and return it."""
        grant = self.stack(parsed_args).issue_grant(
            role=parsed_args.role,
            member=parsed_args.member,
            group=parsed_args.group,
            ttl=parsed_args.ttl,
        )
        return _fields(grant)


class ListGrants(Lister):
    """List the grants of a stack"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the grants."""
        names = ("ID", "Role", "Member", "Group", "Expires At", "Created By")
        return names, (
            (grant.id, grant.role, grant.member, grant.group, grant.expires_at, grant.created_by)
            for grant in self.stack(parsed_args).grants()
        )


class ShowGrant(_OfGrant, ShowOne):
    """Show a grant, without its token"""

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the grant."""
        return _fields(self.stack(parsed_args).grant(parsed_args.grant).show())


class RenewGrant(_OfGrant, ShowOne):
    """Extend a grant from now on"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        super().add_arguments(parser)
        parser.add_argument(
            "--ttl",
            metavar="<seconds>",
            type=number,
            help="Seconds from now after which the grant expires (default: as it was issued)",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Extend the grant, and return it."""
        grant = self.stack(parsed_args).grant(parsed_args.grant)
        return _fields(grant.renew(ttl=parsed_args.ttl))


class DeleteGrant(Command):
    """Revoke grants, and all grants issued from them"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("grants", metavar="<grant>", nargs="+", help="ID of a grant")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Revoke the grants."""
        stack = self.stack(parsed_args)
        self.delete_each(parsed_args.grants, lambda name: stack.grant(name).revoke(), "grants")
