"""What the commands for operators of a service have in common, before they are run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from factstore.cmd.errors import CommandError


def add_config_file(parser: argparse.ArgumentParser) -> None:
    """Declare ``--config-file``."""
    parser.add_argument(
        "--config-file",
        action="append",
        metavar="FILE",
        help="the service's configuration; may be given several times (default: the files that"
        " OS_FACTSTORE_CONFIG_FILES names, else those in the usual places)",
    )


@contextmanager
def server_room(status: int = 1) -> Iterator[None]:
    """Import what only a service needs, in here.

    :raises CommandError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{error.name} is not installed: install factstore[server]", status
        ) from error
