"""Media types of requests and responses: the Accept header and the charset of a body.

A range ``application/problem+json`` asks for errors of that type and excludes no other response.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from functools import lru_cache

from flask import Request
from werkzeug.exceptions import UnsupportedMediaType

JSON = "application/json"
PROBLEM = "application/problem+json"
UTF8 = ("utf-8", "ascii")
"""The codecs, by the names that Python gives them, in which a text can be stored unchanged."""


def preferred(req: Request, types: Sequence[str]) -> str | None:
    """Return the media type that a client prefers, or None if it accepts none of them.

    Parameters of media ranges are ignored, because each type has only one representation here.  Of
    types with equal weights, the one that the client named wins over one that only a wildcard matches;
    else the first one wins (RFC 9110, 12.5.1).

    :param types: the available types, the default first.
    """
    ranges = [each for each in media_ranges(req.headers.get("Accept", "")) if each[0] != PROBLEM]
    if not ranges:
        return types[0]  # an empty list excludes nothing
    best, best_rank = None, (0.0, -1)
    for each in types:
        names = (each, f"{each.partition('/')[0]}/*", "*/*")
        for precision, name in zip((2, 1, 0), names, strict=True):
            weights = [q for text, q in ranges if text == name]
            if weights:
                rank = (max(weights), precision)
                if rank[0] > 0 and rank > best_rank:
                    best, best_rank = each, rank
                break
    return best


def error_type(accept: str) -> str:
    """Return the media type of errors for an Accept header.

    It is JSON unless the client names ``application/problem+json``, because OpenStack's clients read no
    other errors.  A client that names both types and prefers JSON gets JSON.
    """
    weights = dict(reversed(media_ranges(accept)))  # of a range that is given twice, the first
    weight = weights.get(PROBLEM, 0.0)
    return PROBLEM if weight > 0 and weight >= weights.get(JSON, 0.0) else JSON


@lru_cache(256)  # clients send few different ones
def media_ranges(accept: str) -> tuple[tuple[str, float], ...]:
    """Return the media ranges of an Accept header, in lower case, with their weights.

    Clients are not refused for their spelling: Java sends ``*; q=.2``, and a weight that is no number
    counts as none.
    """
    found = []
    for item in accept.lower().split(","):
        name, _, parameters = item.partition(";")
        if name := name.strip():
            weight = re.search(r"(?:^|;)\s*q\s*=\s*([0-9]*\.?[0-9]+)\s*(?:;|$)", parameters)
            found.append(
                ("*/*" if name == "*" else name, min(1.0, float(weight[1])) if weight else 1.0)
            )
    return tuple(found)


def check_charset(req: Request, body: bytes) -> None:
    """Refuse a body whose declared charset is not UTF-8, or ASCII that is none.

    :raises UnsupportedMediaType: the text would be stored as another one.
    """
    charset = req.mimetype_params.get("charset")
    if charset is None:
        return
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        name = ""
    if name not in UTF8 or (name == "ascii" and not body.isascii()):
        raise UnsupportedMediaType(
            "The body is not declared as UTF-8. Send UTF-8, with charset=utf-8 or without a charset."
        )
