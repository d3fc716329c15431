"""``factstore purge``: remove all that a project has, once it is gone from Keystone.

Each stack is deleted as the API deletes it, so those who watch are told. The exit status is 0 when no
key names the projects any more.
"""

from __future__ import annotations

import argparse
import re
import sys
import uuid
from typing import TYPE_CHECKING

from factstore.cmd.errors import CommandError
from factstore.cmd.server import add_config_file, server_room

if TYPE_CHECKING:
    from factstore.store.fsck.project_purge import Holdings

AUTHOR = "factstore-purge"
PATIENCE = 60.0
"""Longer than a token of a dead project may live on in the service's cache, by default."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_config_file(parser)
    parser.add_argument(
        "--project",
        action="append",
        required=True,
        type=_project,
        metavar="ID",
        help="the project's id in Keystone; may be given several times",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=PATIENCE,
        metavar="SECONDS",
        help="how long to go on while somebody still writes to a project (default: %(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Remove, and say what. Raises CommandError."""
    with server_room():
        from factstore.cmd.deployment import opened
        from factstore.cmd.purge_project import Purge
    with opened(args.config_file) as installation:
        purge = Purge(installation, AUTHOR, f"req-{uuid.uuid4()}", _say)
        doomed = []
        for project_id in dict.fromkeys(args.project):
            holdings = purge.holdings(project_id)
            if holdings.nothing:
                _say(f"project {project_id}: there is nothing")
            else:
                _say(_listing(project_id, holdings))
                doomed.append(project_id)
        if args.dry_run or not doomed:
            return 0
        if not args.yes:
            _confirm()
        gone = purge.run(doomed, args.patience)
        return 0 if gone else 1


def _listing(project_id: str, holdings: Holdings) -> str:
    lines = [f"project {project_id}:"]
    lines += [f"  stack {name}: {facts} facts" for name, facts in holdings.stacks.items()]
    for count, what in (
        (holdings.receipts, "receipts of Idempotency-Keys"),
        (holdings.gates, "notes of writes near a quota"),
        (len(holdings.sweeping), "deleted stacks that are being swept"),
        (len(holdings.orphans), "orphans"),
        (holdings.strange, "keys that factstore verify tells more about"),
    ):
        if count:
            lines.append(f"  {count} {what}")
    return "\n".join(lines)


def _confirm() -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError("nothing was removed: there is no terminal to ask on; say --yes")
    try:
        answer = input("Remove all of this for good? Type yes: ")
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        raise CommandError("nothing was removed")


def _say(line: str) -> None:
    print(line, flush=True)  # it takes a while, and somebody may be looking


def _project(text: str) -> str:
    # As keys take it; the module that says so may not be installed.
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no project id: give the id, not the name")
    return text


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400")
    return seconds
