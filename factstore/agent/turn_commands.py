"""The commands ``lock`` and ``rank``: turns of this member for other programs.

The agent has to run, because its heartbeats keep the member and its turns alive.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from typing import Any

from factstore.agent.config.option_types import argument, integer, seconds
from factstore.agent.config.settings import Settings
from factstore.agent.errors import (
    EXIT_OK,
    NOT_A_MEMBER,
)
from factstore.agent.locked_command import LockedCommand
from factstore.agent.session.connection import open_connection
from factstore.agent.session.member_state import (
    generation_in,
    not_a_member,
    state_dir_of,
)
from factstore.client.clock import SystemClock
from factstore.client.errors import Conflict, NotFound


def add_turn_commands(
    command: Callable[[str, Callable[[Settings, Any], int], str], argparse.ArgumentParser],
) -> None:
    """Add the commands to a parser.

    :param command: adds a command with a name, a function and a summary, and returns its parser.
    """
    lock = command("lock", _lock, "run a command in this member's turn of a queue")
    lock.add_argument("queue", metavar="NAME", help="the name of the queue")
    lock.add_argument("argv", metavar="COMMAND", nargs="+", help="the command, after --")
    lock.add_argument(
        "--max-parallel",
        type=argument(integer(1, 999_999_999)),
        default=1,
        metavar="N",
        help="how many members may hold the lock at a time (default: 1)",
    )
    lock.add_argument(
        "--leader",
        action="store_true",
        help="keep the turn after the command has ended, until the member departs or expires",
    )
    lock.add_argument(
        "--timeout",
        type=argument(seconds(0, math.inf)),
        default=math.inf,
        metavar="SECONDS",
        help="limit of the wait",
    )
    rank = command("rank", _rank, "print the number of this member in a queue")
    rank.add_argument("queue", metavar="NAME", help="the name of the queue")


def _lock(settings: Settings, args: argparse.Namespace) -> int:
    """Wait for this member's turn in the queue NAME, run COMMAND, and give the turn back.

    If the turn is lost while COMMAND runs, COMMAND gets SIGTERM, and the exit status is 5.
    """
    turn = LockedCommand(settings, args, SystemClock())
    return turn.run()


def _rank(settings: Settings, args: argparse.Namespace) -> int:
    """Print the lowest number, from 0, that no other member of the queue NAME has.

    This member keeps the number until it departs or expires.
    """
    stack, member = open_connection(settings, os.environ).stack, settings.agent.member
    state = state_dir_of(settings)
    turn = stack.turn(args.queue, member, generation=generation_in(state))
    try:
        print(turn.take(rank=True).rank)
    except (Conflict, NotFound) as error:
        if error.code not in NOT_A_MEMBER:
            raise
        raise not_a_member(state, error) from error
    return EXIT_OK
