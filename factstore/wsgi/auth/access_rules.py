"""Access rules of application credentials, matched literally.

keystonemiddleware turns a rule's path into a regular expression without escaping it.  A dot then
matches any character, so a rule for ``web.prod`` also admits ``webXprod``; an unclosed bracket makes
the request fail; and some brackets or several wildcards in a row backtrack for longer than a request
may take, during which the worker serves nobody.  Here every character matches itself, and the time is
bounded by the lengths of rule and path.

Validity, methods and services of rules are left to keystonemiddleware.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

_PART = re.compile(r"\{[^}]*\}|\*\*|.", re.DOTALL)
_ANY_PATH = "**"
_PATH_LENGTH = 1024  # no path of the API is as long, so no rule has to match a longer one


def paths_to_allow(method: str, path: str, query: str) -> tuple[str, ...]:
    """Return the paths of which each must match a rule, for a request with a path and a query string.

    A recursive deletion also changes everything below its path.  No segment is empty, so only ``**``
    matches the second path.
    """
    recursive = parse_qs(query).get("recursive", ["false"])
    return (path, f"{path}//") if method == "DELETE" and recursive != ["false"] else (path,)


def keep_matching_rules(token: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return *token* with only those access rules that match *path*, each changed to match every path.

    :param token: as Keystone returns it; a token without access rules is not changed.
    :param path: the request's path, decoded, including the mount point.
    """
    credential = token.get("application_credential") or {}
    rules = credential.get("access_rules")
    if rules is None:
        return dict(token)
    matching = [{**rule, "path": _ANY_PATH} for rule in rules if matches(rule["path"], path)]
    return {**token, "application_credential": {**credential, "access_rules": matching}}


def matches(rule: str, path: str) -> bool:
    """Return True if a rule's path matches a path.

    ``{name}`` and ``*`` match one or more characters of a segment, ``**`` matches any characters or
    none, and every other character matches itself.
    """
    if len(path) > _PATH_LENGTH:
        return False
    positions = {0}  # where in the path the parts so far can end
    for part in _PART.findall(rule):
        if part == _ANY_PATH:
            positions = set(range(min(positions), len(path) + 1))
        elif part == "*" or len(part) > 1:
            positions = _within_segments(positions, path)
        else:
            positions = {at + 1 for at in positions if path[at : at + 1] == part}
        if not positions:
            return False
    return len(path) in positions


def _within_segments(positions: set[int], path: str) -> set[int]:
    """Return the positions at least one character after *positions* and in the same segment."""
    # One pass for all positions: a pass for each would make the time quadratic in the path.
    found, matching = set(), False
    for at, character in enumerate(path):
        matching = character != "/" and (matching or at in positions)
        if matching:
            found.add(at + 1)
    return found
