"""``factstore rotate-keys``: create or rotate the keys that seal sensitive facts.

If there are no keys, a primary key and a staged key are created, unless the store has data keys, which
other keys have sealed. Otherwise the staged key becomes the primary key, a new key is staged, the data
keys of all stacks are rewrapped with the new primary key while the service runs, and the oldest keys
are removed. With several API hosts, run the command on one of them, and copy the directory to the
others before the next rotation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from factstore.cmd.errors import CommandError
from factstore.cmd.server import add_config_file, requires_server_packages


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_config_file(parser)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--no-reseal",
        action="store_true",
        help="create or rotate the keys and do nothing else: etcd is not used, and no key is removed",
    )
    mode.add_argument(
        "--reseal-only",
        action="store_true",
        help="do not rotate the keys: rewrap data keys with the current primary key, and remove the"
        " oldest keys",
    )


def run(args: argparse.Namespace) -> int:
    """Rotate the keys; return 1 if the data keys of some stacks are lost. Raises CommandError."""
    with requires_server_packages():
        from factstore.cmd.deployment import connect
        from factstore.cmd.key_rotation import KeyRotation
    with connect(args.config_file) as installation:
        if not installation.is_configured:
            raise CommandError(
                "no configuration was found, and nothing was changed. Name the configuration of the"
                " service with --config-file. To use the defaults of all options, name /dev/null."
            )
        path = Path(installation.conf.sealing.key_repository)
        if not path.is_absolute():
            raise CommandError(f"[sealing] key_repository is {path}; it must be an absolute path")
        rotation = KeyRotation(installation, path, _log)
        complete = True
        reseals = not args.no_reseal
        if args.reseal_only or (rotation.rotate(reseals=reseals) and reseals):
            complete = rotation.reseal()
    return 0 if complete else 1


def _log(line: str) -> None:
    print(line, flush=True)
