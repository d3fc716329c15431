"""``factstore render``: convert a stack's context into files for other software.

The command does not call the service: the context is one that curl fetched or that an agent stores.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from factstore.client.os_errors import described
from factstore.client.render import RENDERERS, render, write
from factstore.cmd.errors import CommandError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "format", choices=list(RENDERERS), metavar="FORMAT", help=", ".join(RENDERERS)
    )
    parser.add_argument(
        "context", nargs="?", metavar="FILE", help="the context (default: standard input)"
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PATH",
        help="the file or the folder to write (default: standard output)",
    )


def run(args: argparse.Namespace) -> int:
    """Print or write the rendering, and return 0. Raises CommandError."""
    try:
        rendering = render(args.format, _document(args.context), _omit)
        if args.into is not None:
            write(rendering, args.into)
        elif isinstance(rendering, str):
            # The format is UTF-8, whatever the locale is.
            sys.stdout.buffer.write(rendering.encode())
            sys.stdout.buffer.flush()
        else:
            raise CommandError(f"{args.format} has several files: name a folder with --into", 2)
    except (OSError, ValueError) as error:
        raise CommandError(described(error)) from error
    return 0


def _omit(name: str, reason: str) -> None:
    print(f"factstore: left out {name}, which {reason}", file=sys.stderr)


def _document(file: str | None) -> dict[str, Any]:
    name = file or "standard input"
    data = Path(file).read_bytes() if file else sys.stdin.buffer.read()
    try:
        document = json.loads(data.decode())
    except ValueError as error:
        raise CommandError(f"{name} is not JSON: {error}") from error
    if (
        not isinstance(document, dict)
        or not isinstance(document.get("facts"), dict)
        or "stack" not in document
    ):
        raise CommandError(f"{name} is not the context of a stack")
    return document
