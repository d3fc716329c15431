"""``factstore purge``: delete all data of projects that were deleted in Keystone.

Each stack is deleted as the API deletes it, so watchers are notified. The exit status is 0 if no key
contains the projects any more.
"""

from __future__ import annotations

import argparse
import re
import sys
import uuid
from typing import TYPE_CHECKING

from factstore.client.counts import counted
from factstore.cmd.server import add_config_file, confirm, requires_server_packages

if TYPE_CHECKING:
    from factstore.store.fsck.report import ProjectContents

AUTHOR = "factstore-purge"
PATIENCE = 60.0  # by default, the service caches a token of a deleted project for less time


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_config_file(parser)
    parser.add_argument(
        "--project",
        action="append",
        required=True,
        type=_project,
        metavar="ID",
        help="the id of the project in Keystone; may be given several times",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would be deleted")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=PATIENCE,
        metavar="SECONDS",
        help="how long to continue while someone still writes to a project (default: %(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Purge the projects and print each deletion. Raises CommandError."""
    with requires_server_packages():
        from factstore.cmd.deployment import connect
        from factstore.cmd.purge_project import ProjectPurge
    with connect(args.config_file) as installation:
        projects = []
        for project_id in dict.fromkeys(args.project):
            contents = installation.reader.project(project_id)
            if contents.is_empty:
                _log(f"project {project_id}: it has no data")
                if not _is_usual_id(project_id):
                    print(
                        f"warning: {project_id} does not look like the id of a project in Keystone,"
                        " which has 32 hexadecimal digits; use the id, not the name",
                        file=sys.stderr,
                    )
            else:
                _log(_listing(project_id, contents))
                projects.append(project_id)
        if args.dry_run or not projects:
            return 0
        if not args.yes:
            confirm("Delete all of this permanently? Type yes: ", "nothing was deleted")
        purge = ProjectPurge(installation, AUTHOR, f"req-{uuid.uuid4()}", _log)
        return 0 if purge.run(projects, args.patience) else 1


def _listing(project_id: str, contents: ProjectContents) -> str:
    stacks = sorted(contents.stacks.values(), key=lambda stack: stack.name)
    lines = [f"project {project_id}:"]
    lines += [f"  stack {stack.name}: {counted(stack.facts, 'fact')}" for stack in stacks]
    for count, noun, which in (
        (contents.receipts, "receipt", " of Idempotency-Keys"),
        (contents.subscriptions, "subscription", ""),
        (contents.legacy, "key", " of earlier versions of factstore"),
        (len(contents.purges), "stack", " with data that are being deleted"),
        (len(contents.orphans), "orphan", ""),
        (contents.undeletable, "key", " that only an operator can delete: run factstore verify"),
    ):
        if count:
            lines.append(f"  {counted(count, noun)}{which}")
    return "\n".join(lines)


def _log(line: str) -> None:
    print(line, flush=True)  # a purge takes a while, and the operator may be watching it


def _project(text: str) -> str:
    # The same check as in the keyspace, which may not be installed.
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a project id: use the id, not the name")
    return text


def _is_usual_id(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{32}", text)) or text == "none"  # without Keystone


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400")
    return seconds
