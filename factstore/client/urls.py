"""Builds URLs from names.

Names are inserted unchanged.  A name outside of the service's grammar is refused here, in the service's
words: a URL contains other characters only in an encoded form, which is not what the caller wrote.
"""

from __future__ import annotations

import re

from factstore.client.errors import BadRequest

SEGMENT_LENGTH = 128
DEPTH = 16
PATH_LENGTH = 512
SEGMENT_PATTERN = rf"[A-Za-z0-9_][A-Za-z0-9_.:@-]{{0,{SEGMENT_LENGTH - 1}}}"
PATH_PATTERN = rf"{SEGMENT_PATTERN}(?:/{SEGMENT_PATTERN}){{0,{DEPTH - 1}}}"
GRAMMAR = (
    f"a path is 1 to {DEPTH} segments joined by '/', at most {PATH_LENGTH} characters in all; "
    f"a segment is 1 to {SEGMENT_LENGTH} characters, begins with a letter, a digit or '_' "
    "and continues with letters, digits and '_.:@-'"
)
"""The grammar of names, which is also that of the service."""

_SEGMENT = re.compile(SEGMENT_PATTERN)
_PATH = re.compile(PATH_PATTERN)
_CODE = "contextualization.path_invalid"


def stack_url(name: str) -> str:
    """Return the URL of a stack.

    :raises BadRequest: the name is not valid.
    """
    return f"/v1/stacks/{_checked(name, 'stack')}"


def fact_url(stack: str, path: str) -> str:
    """Return the URL of a fact.

    :raises BadRequest: the path is not valid.
    """
    return f"{stack}/facts/{_checked_path(path)}"


def history_url(stack: str, path: str) -> str:
    """Return the URL of a fact's history.

    :raises BadRequest: the path is not valid.
    """
    return f"{stack}/history/{_checked_path(path)}"


def item_url(stack: str, kind: str, *names: str) -> str:
    """Return the URL of a member, a waiter, a grant, a queue, a turn or a configuration.

    :param kind: ``members``, ``waiters``, ``grants``, ``turns`` or ``configurations``.
    :raises BadRequest: a name is not valid.
    """
    noun = kind.rstrip("s")
    return "/".join([stack, kind, *(_checked(name, noun) for name in names)])


def _checked_path(path: str) -> str:
    if len(path) > PATH_LENGTH or not _PATH.fullmatch(path):
        raise BadRequest(f"The path {_quoted(path)} is not valid: {GRAMMAR}.", code=_CODE)
    return path


def _checked(name: str, noun: str) -> str:
    if not _SEGMENT.fullmatch(name):
        raise BadRequest(
            f"The {noun} name {_quoted(name)} is not valid: it is one segment, and {GRAMMAR}.",
            code=_CODE,
        )
    return name


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
