"""``factstore-notify``: deliver events to the targets of subscriptions.

Any number of processes, on any hosts, share the subscriptions. systemd's unit, devstack, ``factstore
standalone`` and the tests run this program.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from factstore.client.program_output import run_program
from factstore.cmd.errors import CommandError
from factstore.cmd.server import add_config_file, add_version, requires_server_packages


def main(argv: Sequence[str] | None = None) -> int:
    """Deliver until a signal, and return the exit status."""
    parser = make_parser()
    args = argparse.Namespace()
    if status := run_program(parser.prog, lambda: int(parser.parse_args(argv, args) is not args)):
        return status
    try:
        with requires_server_packages(grpc_log="ERROR"):
            from gevent import monkey

            from factstore.wsgi.server.patching import plugins_read_once

            with plugins_read_once():
                monkey.patch_all()
            from factstore.cmd.notifier import program
        program.run(args.config_file)
    except CommandError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.status
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="factstore-notify",
        description="Deliver events to the targets of subscriptions. SIGTERM lets other notifiers take"
        " over, and stops the program.",
    )
    add_version(parser)
    add_config_file(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
