"""Which access rules of an application credential name a path, to the letter.

keystonemiddleware makes a regular expression of a rule's path as it stands.  There a dot matches any
character, so that a rule for ``web.prod`` admits ``webXprod``; a bracket that is never closed breaks
the request; and some brackets or wildcards in a row take longer than anybody waits, and meanwhile the
worker serves nobody else.  Here a character is that character, and the time is bounded by the lengths
of rule and path, whatever they hold.

Knows nothing of validity, methods and services: keystonemiddleware judges those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\{[^}]*\}|\*\*|.", re.DOTALL)
_EVERYTHING = "**"


def naming(token: Mapping[str, Any], path: str) -> dict[str, Any]:
    """*token* with those of its access rules that name *path*; those now name every path.

    :param token: as Keystone describes it; one without access rules stays as it is.
    :param path: the request's, decoded, the mount point in front.
    """
    credential = token.get("application_credential") or {}
    rules = credential.get("access_rules")
    if rules is None:
        return dict(token)
    wanted = RequestPath(path)
    kept = [{**rule, "path": _EVERYTHING} for rule in rules if wanted.is_named_by(rule["path"])]
    return {**token, "application_credential": {**credential, "access_rules": kept}}


class RequestPath:
    """A path, made ready to be compared with many rules."""

    def __init__(self, path: str) -> None:
        self._everywhere = (2 << len(path)) - 1
        self._end = 1 << len(path)
        # Of each character, the places where it stands: bit n for the path's n-th character.
        self._places: dict[str, int] = {}
        for at, char in enumerate(path):
            self._places[char] = self._places.get(char, 0) | 1 << at
        self._inside = (self._end - 1) & ~self._places.get("/", 0)

    def is_named_by(self, rule: str) -> bool:
        """Whether a rule's path names this one.

        ``{name}`` and ``*`` stand for one or more characters of a segment, ``**`` for any characters
        or none, everything else for itself.
        """
        reached = 1  # bit n is set when the rule so far may end before the path's n-th character
        for part in _TOKEN.findall(rule):
            if part == _EVERYTHING:
                lowest = reached & -reached
                reached = self._everywhere & -lowest
            elif part == "*" or len(part) > 1:
                # Adding carries each bit to the end of its segment; what it passed are the places.
                begun = reached & self._inside
                passed = ((begun + self._inside) ^ self._inside) | begun
                reached = (passed & self._inside) << 1
            else:
                reached = (reached & self._places.get(part, 0)) << 1
        return bool(reached & self._end)
