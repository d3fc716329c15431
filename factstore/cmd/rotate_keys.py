"""``factstore rotate-keys``: make the keys that seal sensitive facts, or change them.

Where there are none, a primary key and a staged one are made. Else the staged key becomes the primary
one, another is staged, every stack's data key is wrapped with the new primary key while the service
runs, and the oldest keys are removed. With several API hosts run it on one, then copy the directory to
the others before the next time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from factstore.cmd.errors import CommandError
from factstore.cmd.server import add_config_file, server_room


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_config_file(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--no-reseal",
        action="store_true",
        help="change the keys and nothing else: nothing is asked of etcd, no key is removed",
    )
    which.add_argument(
        "--reseal-only",
        action="store_true",
        help="change no key: wrap data keys with the primary key as it is, and remove the oldest keys",
    )


def run(args: argparse.Namespace) -> int:
    """Do it, and say what; 1 if there are stacks whose data key is lost. Raises CommandError."""
    with server_room():
        from factstore.cmd.deployment import opened
        from factstore.cmd.rotation_run import Rotating
    with opened(args.config_file) as installation:
        path = Path(installation.conf.sealing.key_repository)
        if not path.is_absolute():
            raise CommandError(f"[sealing] key_repository must be an absolute path, and is {path}")
        rotating = Rotating(installation, path, _say)
        whole = True
        reseals = not args.no_reseal
        if args.reseal_only or (rotating.rotate(reseals=reseals) and reseals):
            whole = rotating.reseal()
    return 0 if whole else 1


def _say(line: str) -> None:
    print(line, flush=True)
