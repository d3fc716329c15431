"""The ``factstore`` program: finds the subcommand, and turns expected failures into messages."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence

from factstore.cmd import purge, render, rotate_keys, standalone, token, verify
from factstore.cmd.errors import CommandError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand in ``argv`` and return its exit status.

    What a CommandError says goes to stderr, and its status is the result: 1, if not told otherwise.
    Raises SystemExit with status 2 for a wrong command line, as argparse does.
    """
    args = make_parser().parse_args(argv)
    try:
        status: int = args.run(args)
    except CommandError as error:
        print(f"factstore {args.command}: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130  # as shells count it
    return status


def make_parser() -> argparse.ArgumentParser:
    """All subcommands with their options."""
    parser = argparse.ArgumentParser(prog="factstore", description="Per-stack facts in etcd.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module, summary in (
        ("standalone", standalone, "run the whole service on this machine"),
        ("token", token, "print a Keystone token for the OS_* variables"),
        ("render", render, "make files of a stack's context"),
        ("verify", verify, "check what the service keeps in etcd"),
        ("purge", purge, "remove all that a project has"),
        ("rotate-keys", rotate_keys, "make or change the keys that seal sensitive facts"),
    ):
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("factstore")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
