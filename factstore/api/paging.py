"""Lists with ``limit``, ``marker`` and links; all pages of a list show one revision."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import request

from factstore.core.model.cursor import Cursor


def at(query: dict[str, Any]) -> Cursor | None:
    """The revision whose state is wanted; None for the present.

    :raises Invalid: ``cursor_invalid``.
    """
    return Cursor.parse(query["cursor"]) if query["cursor"] else None


def links(cursor: Cursor, marker: str | None) -> list[dict[str, str]]:
    """Links to this page and, unless it is the last, to the next."""
    here = dict(request.args)
    found = [_link("self", here)]
    if marker is not None:
        found.append(_link("next", {**here, "marker": marker, "cursor": str(cursor)}))
    return found


def _link(rel: str, query: dict[str, str]) -> dict[str, str]:
    text, path = urlencode(query), request.script_root + request.path
    return {"rel": rel, "href": f"{path}?{text}" if text else path}
