"""Types of options: functions from the text in the configuration file to the value.

Each raises ValueError with a sentence that states which values are accepted.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from factstore.agent.config.reads import Reads
from factstore.client.http.origin import Origin
from factstore.client.http.proxies import BadProxy, Proxies
from factstore.client.render import RENDERERS

T = TypeVar("T")
_NAME = "[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}"
_READ = re.compile(rf"@(?:{_NAME}|\*)|(?:{_NAME}|\*)(?:/(?:{_NAME}|\*))*/?")


def string(value: str) -> str:
    """Return a text that is not empty."""
    if not value:
        raise ValueError("the value must not be empty.")
    return value


def name(value: str) -> str:
    """Return the name of a stack, a member or a group."""
    if not re.fullmatch(_NAME, value):
        raise ValueError(
            f"{value!r} is not a name: use at most 128 letters, digits and _.:@-, and begin with a"
            " letter, a digit or _."
        )
    return value


def is_fact_path(value: str) -> bool:
    """Return True for a path of a fact that the service accepts."""
    return re.fullmatch(rf"{_NAME}(?:/{_NAME})*", value) is not None


def argument(kind: Callable[[str], T]) -> Callable[[str], T]:
    """Return a type of options for the arguments of commands, whose parser shows its errors."""

    def parse(text: str) -> T:
        try:
            return kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None

    return parse


def integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return the type of integers in a range."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not minimum <= int(value) <= maximum:
            raise ValueError(f"{value!r} is not an integer from {minimum} to {maximum}.")
        return int(value)

    return parse


def seconds(minimum: float, maximum: float) -> Callable[[str], float]:
    """Return the type of durations in a range."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not minimum <= number <= maximum:
            raise ValueError(
                f"{value!r} is not a number of seconds from {minimum:g} to {maximum:g}."
            )
        return number

    return parse


def command(value: str) -> str:
    """Return a command for /bin/sh."""
    if "\0" in value:
        raise ValueError("the value contains a NUL character.")
    return string(value)


def check(value: str) -> str:
    """Return a command for /bin/sh that checks a file, whose path stands for ``%s`` in it."""
    if "%s" not in value:
        raise ValueError(
            f"{value!r} does not contain %s, which stands for the path of the file to check."
        )
    return command(value)


def boolean(value: str) -> bool:
    """Return True for ``yes`` and False for ``no``."""
    if value not in ("yes", "no"):
        raise ValueError(f"{value!r} is neither yes nor no.")
    return value == "yes"


def choice(*words: str) -> Callable[[str], str]:
    """Return the type of options that take one of some words."""

    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is not one of {', '.join(words)}.")
        return value

    return parse


def choices(*words: str) -> Callable[[str], tuple[str, ...]]:
    """Return the type of options that take any of some words, separated by spaces."""

    def parse(value: str) -> tuple[str, ...]:
        return tuple(map(choice(*words), value.split()))

    return parse


def hook_names(value: str) -> tuple[str, ...]:
    """Return names of hooks, separated by spaces; ``*`` stands for all of them."""
    words = value.split()
    for word in words:
        if word != "*" and not re.fullmatch(_NAME, word):
            raise ValueError(f"{word!r} is not the name of a hook, nor * for all hooks.")
    if not words:
        raise ValueError("the value must not be empty; leave the option out to run no actions.")
    return tuple(words)


def path(value: str) -> Path:
    """Return the path of a file."""
    return Path(string(value))


def absolute_path(value: str) -> Path:
    """Return a path that does not depend on the directory in which the agent was started."""
    found = path(value)
    if not found.is_absolute():
        raise ValueError(f"{value!r} is not an absolute path.")
    return found


def file_mode(value: str) -> int:
    """Return the permissions of a file; the text is octal, as for chmod."""
    if not re.fullmatch(r"0?[0-7]{3}", value):
        raise ValueError(f"{value!r} is not a file mode such as 0644.")
    return int(value, 8)


def url(value: str) -> str:
    """Return the root URL of a service."""
    try:
        parts = urlsplit(value)
        Origin.parse(value)
        valid = not parts.query and not parts.fragment
    except ValueError:
        valid = False
    # The value is not quoted in these errors: it may contain a password.
    if not valid:
        raise ValueError(
            "the value is not a URL such as https://controller:8796 or https://[2001:db8::5]:8796."
        )
    if parts.username or parts.password:
        raise ValueError("the URL must not contain a password: use grant_file.")
    return value


def proxy(value: str) -> str:
    """Return the URL of a proxy, or ``none``."""
    try:
        Proxies.from_option(value, "proxy")
    except BadProxy:
        raise ValueError("the value is neither none nor a URL such as http://proxy:3128.") from None
    return value


def json_object(value: str) -> Mapping[str, Any]:
    """Return a JSON object."""
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError('the value is not a JSON object such as {"rack": "r1"}.')
    return found


def reads(value: str) -> Reads:
    """Return what words for facts and members stand for."""
    for word in value.split():
        if not _READ.fullmatch(word):
            raise ValueError(
                f"{word!r} is neither the path of a fact or folder, in which segments can be '*', "
                "nor @ and the name of a group, nor @*."
            )
    return Reads.parse(value.split())


def renderer(value: str) -> str:
    """Return the name of one of the client's renderers."""
    return choice(*sorted(RENDERERS))(value)
