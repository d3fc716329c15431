"""Commands for turns.  An agent takes them, because a turn ends with the member that takes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from factstore.osc.arguments import add_generation, add_stack
from factstore.osc.display import Command, Lister

_COLUMNS = ("Queue", "Position", "Member", "State", "Rank", "Max Parallel", "Created At")


class ListTurns(Lister):
    """List the turns of a stack, each queue in order"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("--queue", metavar="<queue>", help="List only the turns of this queue")

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterator[Any]]:
        """Return the turns."""
        turns = self.stack(parsed_args).turns(parsed_args.queue)
        return _COLUMNS, (
            (
                *(turn.queue, turn.position, turn.member, "holding" if turn.holds else "waiting"),
                *(turn.rank, turn.max_parallel, turn.created_at),
            )
            for turn in turns
        )


class DeleteTurn(Command):
    """End the turn of a member, so that the next member of the queue gets it"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments to a parser."""
        add_stack(parser)
        parser.add_argument("queue", metavar="<queue>", help="Name of the queue")
        parser.add_argument("member", metavar="<member>", help="Name of the member")
        add_generation(parser, "End the turn")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """End the turn."""
        stack = self.stack(parsed_args)
        turn = stack.turn(parsed_args.queue, parsed_args.member, generation=parsed_args.generation)
        turn.give_back()
