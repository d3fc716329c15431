"""Arguments that several commands have, and values from the command line."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from osc_lib import exceptions

from factstore.client.os_errors import reason
from factstore.osc.errors import UsageError

_NUMBER = re.compile(r"[0-9]{1,12}")
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")


def number(text: str) -> int:
    """Return the value of an option that is a count, or whole seconds.

    :raises argparse.ArgumentTypeError: it is not a whole number, or less than 0.
    """
    if not _NUMBER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def seconds(text: str) -> float:
    """Return the value of an option that is a time in seconds.

    :raises argparse.ArgumentTypeError: it is not a number, or less than 0.
    """
    if not _SECONDS.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds from 0 on, such as 2.5"
        )
    return float(text)


def add_stack(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a stack."""
    parser.add_argument("stack", metavar="<stack>", help="Name of the stack")


def add_generation(parser: argparse.ArgumentParser, action: str) -> None:
    """Add the option that names the generation of a member."""
    parser.add_argument(
        "--generation",
        metavar="<generation>",
        help=f"{action} only if this generation of a member is current",
    )


def read_text(file: str) -> str:
    """Return the content of a file; ``-`` for standard input.

    :raises osc_lib.exceptions.CommandError: the file cannot be read.
    """
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise exceptions.CommandError(f"{file!r} cannot be read: {reason(error)}.") from None


def parse_json(text: str, place: str) -> Any:
    """Return a JSON value.

    :param place: the argument that contains it, for the error.
    :raises osc_lib.exceptions.CommandError: the text is not JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise exceptions.CommandError(f"{place} is nested too deep.") from None
    except ValueError as error:
        raise exceptions.CommandError(f"{place} is not JSON: {error}.") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value; give a number, or null")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text} is too large")
    if not number and text.lower().partition("e")[0].strip("-0."):
        raise ValueError(f"the number {text} is too close to 0")
    return number


def typed_values(pairs: Iterable[str], option: str) -> dict[str, Any]:
    """Return the values of several ``NAME=VALUE``: JSON, or else text.

    :raises UsageError: there is no ``=``.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, text = split_pair(pair, option)
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values


def split_pair(text: str, option: str) -> tuple[str, str]:
    """Return both parts of ``NAME=VALUE``.

    :raises UsageError: there is no ``=``.
    """
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"{option} needs NAME=VALUE, not {text!r}.")
    return name, value
