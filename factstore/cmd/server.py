"""Options and checks that the commands for operators share."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from factstore.cmd.errors import CommandError


def add_config_file(parser: argparse.ArgumentParser) -> None:
    """Declare ``--config-file``."""
    parser.add_argument(
        "--config-file",
        action="append",
        metavar="FILE",
        help="the configuration of the service; may be given several times (default: the files named"
        " by OS_FACTSTORE_CONFIG_FILES, or those in the usual places)",
    )


def add_version(parser: argparse.ArgumentParser) -> None:
    """Declare ``--version``."""
    try:
        version = importlib.metadata.version("openstack-factstore")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        version = "unknown"
    parser.add_argument("--version", action="version", version=version)


@contextmanager
def requires_server_packages(status: int = 1, *, grpc_log: str = "NONE") -> Iterator[None]:
    """Report a missing server package as a CommandError.

    Import the modules that need ``openstack-factstore[server]`` within this context.

    :param grpc_log: with ``NONE``, gRPC does not print failed connections in its own words.
    """
    os.environ.setdefault("GRPC_VERBOSITY", grpc_log)
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{error.name} is not installed: install openstack-factstore[server]", status
        ) from error


def confirm(question: str, otherwise: str) -> None:
    """Ask the operator a question; return if the answer is yes.

    :param otherwise: what the error states for another answer, and if there is no terminal.
    :raises CommandError: the operator did not confirm.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError(
            f"{otherwise}, because there is no terminal to ask for confirmation; use --yes"
        )
    try:
        answer = input(question)
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        raise CommandError(f"{otherwise}, because it was not confirmed")
