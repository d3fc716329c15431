"""The command that shows why a member last ran its hooks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from factstore.osc.arguments import add_stack
from factstore.osc.display import Lister

_COLUMNS = ("At", "Change", "Of", "By", "Member", "Request ID", "Cursor")


class ShowWhy(Lister):
    """Show which change made a member run its hooks last, and what that change followed from

    The newest change comes first. The last row states where the changes began: a member joined or was
    declared, a user changed something, or the change is older than the history that the service keeps.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("member", metavar="<member>", help="Name of the member")

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the changes."""
        found = self.stack(parsed_args).member(parsed_args.member).why()

        def rows() -> Iterator[Any]:
            for step in found.steps:
                subject = step.path or (f"member {step.member}" if step.member else None)
                request = step.request_id
                yield step.at, step.type, subject, step.by, step.writer, request, step.cursor
            yield None, found.end, found.detail, None, None, None, None

        return _COLUMNS, rows()
