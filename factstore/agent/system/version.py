"""The option ``--version``.

Only this option reads the version, because the standard library's module for it takes a megabyte.
"""

from __future__ import annotations

import argparse
from typing import Any


class PrintVersion(argparse.Action):
    """Prints the program and its version, and exits."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        text = "print the version and exit"
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=text, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print the version."""
        print(f"{parser.prog} {version()}")
        parser.exit()


def version() -> str:
    """Return the version of the installed distribution, or of the file that the agent runs from."""
    from importlib import metadata

    try:
        return metadata.version("openstack-factstore")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"
