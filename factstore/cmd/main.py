"""The ``factstore`` program: runs a subcommand and prints expected failures as messages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from factstore.client.program_output import run_program
from factstore.cmd import purge, render, renew_epoch, rotate_keys, standalone, token, verify
from factstore.cmd.errors import CommandError
from factstore.cmd.server import add_version


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand in ``argv`` and return its exit status.

    The text of a CommandError is printed to stderr, and its status is returned. Like argparse, a wrong
    command line raises SystemExit with status 2. A command can set the default ``output_failed``.
    """
    args = argparse.Namespace(command="", output_failed=1)

    def run() -> int:
        make_parser().parse_args(argv, args)
        try:
            status: int = args.run(args)
        except CommandError as error:
            print(f"factstore {args.command}: {error}", file=sys.stderr)
            return error.status
        except KeyboardInterrupt:
            return 130  # as shells do
        return status

    return run_program("factstore", run, lambda: args.output_failed)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with all subcommands and their options."""
    parser = argparse.ArgumentParser(
        prog="factstore", description="Store facts of software stacks in etcd."
    )
    add_version(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module, summary in (
        ("standalone", standalone, "run the whole service on this machine"),
        ("token", token, "print a Keystone token for the OS_* variables"),
        ("render", render, "convert a stack's context into files for other software"),
        ("verify", verify, "check the consistency of the data in etcd"),
        ("purge", purge, "delete all data of a project"),
        ("renew-epoch", renew_epoch, "make earlier cursors invalid, after etcd was restored"),
        ("rotate-keys", rotate_keys, "create or rotate the keys that seal sensitive facts"),
    ):
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
