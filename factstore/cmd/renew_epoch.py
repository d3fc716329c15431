"""``factstore renew-epoch``: make all earlier cursors and entity tags invalid, after etcd was restored.

A restored etcd assigns numbers again that it has assigned before.  With a new epoch, clients that know
the former numbers are refused, and read again.  The exit status is 0 if the epoch was renewed.
"""

from __future__ import annotations

import argparse

from factstore.cmd.errors import CommandError
from factstore.cmd.server import add_config_file, confirm, requires_server_packages


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_config_file(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def run(args: argparse.Namespace) -> int:
    """Renew the epoch. Raises CommandError."""
    with requires_server_packages():
        from factstore.cmd.deployment import connect
    with connect(args.config_file) as installation:
        if not args.yes:
            confirm(
                "Renew the epoch? All watchers will read again. Type yes: ", "nothing was written"
            )
        if not installation.repair.renew_epoch():
            raise CommandError(
                f"there is no epoch below {installation.keys.root}: the store is empty, or [etcd] root "
                "is another one; a worker writes the first epoch"
            )
        print("the epoch was renewed: earlier cursors and entity tags are not valid any more")
    return 0
