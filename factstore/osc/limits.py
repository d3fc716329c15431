"""The command that shows quotas, rates and usage."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from factstore.osc.display import Lister


class ShowLimits(Lister):
    """Show the limits of the project, and its usage; -1 is no limit"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        parser.add_argument(
            "--project", metavar="<project-id>", help="ID of another project (admin only)"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the limits."""
        found = self.client().limits(project_id=parsed_args.project)
        usage = found["usage"]
        return ("Name", "Limit", "Usage"), (
            (name, limit, usage.get(name)) for name, limit in found["limits"].items()
        )
