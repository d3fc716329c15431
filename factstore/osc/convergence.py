"""The command that shows which members have applied the newest change."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from factstore.client import Convergence
from factstore.osc.arguments import add_stack
from factstore.osc.display import Row, ShowOne, fields


def convergence_fields(found: Convergence) -> Row:
    """Return the names and the cells of a convergence."""
    document = asdict(found)
    del document["etag"]
    return fields(document)


class ShowConvergence(ShowOne):
    """Show which members have applied the newest change of a stack"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("--group", metavar="<group>", help="Compare only members of this group")
        parser.add_argument(
            "--include-draining", action="store_true", help="Compare draining members too"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Row:
        """Return the convergence."""
        stack = self.stack(parsed_args)
        return convergence_fields(
            stack.convergence(
                group=parsed_args.group, include_draining=parsed_args.include_draining
            )
        )
