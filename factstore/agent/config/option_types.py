"""What the values of options may be: each a function from the text to the value.

All raise ValueError with a sentence that says what would be right.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from factstore.client.render import RENDERERS


def text(value: str) -> str:
    """Anything but nothing."""
    if not value:
        raise ValueError("it must not be empty.")
    return value


def whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number in a range."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise ValueError(f"{value!r} is no whole number from {least} to {most}.")
        return int(value)

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """A number of seconds in a range."""

    def parse(value: str) -> float:
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        if not least <= found <= most:
            raise ValueError(f"{value!r} is no number of seconds from {least:g} to {most:g}.")
        return found

    return parse


def yes_or_no(value: str) -> bool:
    """``yes`` or ``no``."""
    if value not in ("yes", "no"):
        raise ValueError(f"{value!r} is neither yes nor no.")
    return value == "yes"


def one_of(*words: str) -> Callable[[str], str]:
    """One of some words."""

    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}.")
        return value

    return parse


def some_of(*words: str) -> Callable[[str], tuple[str, ...]]:
    """Some of some words, with spaces between; or none."""

    def parse(value: str) -> tuple[str, ...]:
        return tuple(map(one_of(*words), value.split()))

    return parse


def path(value: str) -> Path:
    """The name of a file."""
    return Path(text(value))


def absolute(value: str) -> Path:
    """The name of a file or directory that does not depend on where the agent was started."""
    found = path(value)
    if not found.is_absolute():
        raise ValueError(f"{value!r} does not begin with a slash.")
    return found


def mode(value: str) -> int:
    """The permissions of a file, as chmod takes them."""
    if not re.fullmatch(r"0?[0-7]{3}", value):
        raise ValueError(f"{value!r} is no mode such as 0644.")
    return int(value, 8)


def url(value: str) -> str:
    """The root of a service."""
    try:
        parts = urlsplit(value)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("it is no URL such as https://controller:8796.")
    if parts.username or parts.password:
        raise ValueError("a URL is no place for a secret: use grant_file.")
    return value


def json_object(value: str) -> Mapping[str, Any]:
    """A JSON object."""
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError('it is no JSON object such as {"rack": "r1"}.')
    return found


def renderer(value: str) -> str:
    """The name of a renderer of the client."""
    return one_of(*sorted(RENDERERS))(value)
