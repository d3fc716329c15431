"""The grammar of names: segments, fact paths and prefixes.

Names are ASCII and never normalised, so that two spellings never name the same fact.  A prefix always
ends at a segment boundary: ``nodes/n1`` covers ``nodes/n1`` and ``nodes/n1/ip``, never ``nodes/n10``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from factstore.core.errors import Invalid

SEGMENT_LENGTH = 128
DEPTH = 16
PATH_LENGTH = 512  # bytes, which are characters in ASCII

SEGMENT_PATTERN = rf"[A-Za-z0-9_][A-Za-z0-9_.:@-]{{0,{SEGMENT_LENGTH - 1}}}"
PATH_PATTERN = rf"{SEGMENT_PATTERN}(?:/{SEGMENT_PATTERN}){{0,{DEPTH - 1}}}"
_SEGMENT = re.compile(SEGMENT_PATTERN)
_PATH = re.compile(PATH_PATTERN)

RESULTS = "results/"
OWN_FOLDERS = ("nodes", "results")
"""The folders below which each member has a folder of its own, which no other member writes."""
"""Facts below it report the results of applying the others, so members do not have to apply them."""

GRAMMAR = (
    f"a path is 1 to {DEPTH} segments joined by '/', at most {PATH_LENGTH} characters in all; "
    f"a segment is 1 to {SEGMENT_LENGTH} characters, begins with a letter, a digit or '_' "
    "and continues with letters, digits and '_.:@-'"
)


def check_path(path: str, *, what: str = "path") -> str:
    """Return *path* unchanged if it is valid.

    :raises Invalid: ``path_invalid``.
    """
    if len(path) > PATH_LENGTH or not _is_path(path):
        raise Invalid(f"The {what} {quoted(path)} is not valid: {GRAMMAR}.", code="path_invalid")
    return path


def check_paths(paths: Collection[str]) -> None:
    """Do as :func:`check_path` for several paths, which takes a third of the time for many.

    :raises Invalid: ``path_invalid``.
    """
    if max(map(len, paths), default=0) > PATH_LENGTH or not all(map(_is_path, paths)):
        for path in paths:
            check_path(path)


@lru_cache(4096)  # the same facts are written again and again
def _is_path(path: str) -> bool:
    return _PATH.fullmatch(path) is not None


def check_name(name: str, what: str) -> str:
    """Return *name* unchanged if it is one valid segment.

    :param what: the noun for the error: ``stack``, ``member``...
    :raises Invalid: ``path_invalid``.
    """
    if not _SEGMENT.fullmatch(name):
        raise Invalid(
            f"The {what} name {quoted(name)} is not valid: it is one segment, and {GRAMMAR}.",
            code="path_invalid",
        )
    return name


def check_stack_name(name: str) -> str:
    """Return *name* unchanged if it is a valid name of a stack.

    :raises Invalid: ``path_invalid``.
    """
    return check_name(name, "stack")


def ancestors(path: str) -> Iterator[str]:
    """Yield the folders above *path*, outermost first: ``a/b/c`` yields ``a``, ``a/b``."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def covers(prefix: str, path: str) -> bool:
    """Return True if *path* is *prefix* or below it; the empty prefix covers every path."""
    return (
        not prefix
        or path == prefix
        or (path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] == "/")
    )


def quoted(text: str) -> str:
    """Return *text* quoted for an error message, cut to 80 characters."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")
