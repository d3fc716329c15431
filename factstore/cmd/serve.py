"""``factstore-api``: serve the API with gunicorn, as ``[api]`` in the configuration describes.

systemd's unit, devstack, ``factstore standalone`` and the tests run this program.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence

from factstore.client.program_output import run_program
from factstore.cmd.errors import CommandError
from factstore.cmd.server import add_config_file, add_version, requires_server_packages


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal; return an exit status if the service cannot start."""
    parser = make_parser()
    args = argparse.Namespace()
    if status := run_program(parser.prog, lambda: int(parser.parse_args(argv, args) is not args)):
        return status
    try:
        serve(args.config_file)
    except CommandError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.status
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="factstore-api",
        description="Serve the API. SIGHUP replaces the workers without a pause, and SIGTERM stops the"
        " service.",
    )
    add_version(parser)
    add_config_file(parser)
    return parser


def serve(files: Sequence[str] | None) -> None:
    """Serve until a signal; raises SystemExit then.

    :param files: configuration files; None for those in the usual places.
    :raises CommandError: a package is missing, or the configuration cannot be used.
    """
    gc.disable()  # until the master has started: nearly all that is imported remains
    try:
        with requires_server_packages(grpc_log="ERROR"):
            from factstore.wsgi import configuration
            from factstore.wsgi.server.master import Server
        try:
            if files:  # the workers read them, too
                configuration.name_files(files)
            configuration.read()
        except configuration.ERRORS as error:
            raise CommandError(f"the configuration {configuration.describe(error)}") from None
        Server().run()
    finally:
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
