"""Lists with ``limit``, ``marker`` and links.  All pages of a list show the same revision."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import request

from factstore.core.model.cursor import Cursor


def cursor(query: dict[str, Any]) -> Cursor | None:
    """Return the cursor of the state to list, or None for the current one.

    :raises Invalid: ``cursor_invalid``.
    """
    return Cursor.parse(query["cursor"]) if query["cursor"] else None


def links(cursor: Cursor, marker: str | None) -> list[dict[str, str]]:
    """Return links to this page and, unless it is the last, to the next page."""
    query = dict(request.args)
    found = [_link("self", query)]
    if marker is not None:
        found.append(_link("next", {**query, "marker": marker, "cursor": str(cursor)}))
    return found


def name_links(marker: str | None) -> list[dict[str, str]]:
    """Return such links for a list whose pages show the current state."""
    query = dict(request.args)
    found = [_link("self", query)]
    return found if marker is None else [*found, _link("next", {**query, "marker": marker})]


def _link(rel: str, query: dict[str, str]) -> dict[str, str]:
    text, path = urlencode(query), request.script_root + request.path
    return {"rel": rel, "href": f"{path}?{text}" if text else path}
