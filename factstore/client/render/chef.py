"""Renders contexts as data bags, for chef-solo and for ``chef-client --local-mode``.

In Chef, an item is a JSON object in ``<bag>/<item>.json``, its ``id`` is the name of the item, and
names consist of letters, digits and ``_.-``.
"""

from __future__ import annotations

import re
from typing import Any

from factstore.client.render.document import Document, Omit, ignore
from factstore.client.render.texts import as_json

CONTEXT = ("factstore", "context")
"""The bag and the item that contain the whole document."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # excludes paths that leave the folder
_RESERVED = {"node", "role", "environment", "client"}


def data_bags(document: Document, omit: Omit = ignore) -> dict[str, str]:
    """Return items by path: ``nodes/head/ip`` becomes ``ip`` in the item ``head`` of the bag ``nodes``.

    Facts are left out if Chef does not allow the name of their bag or item, and below ``factstore``,
    which is the bag of the whole document.
    """
    items = {_path(*CONTEXT): _text(CONTEXT[1], document)}
    for bag, values in sorted(document["facts"].items()):
        if not isinstance(values, dict):
            continue
        if bag == CONTEXT[0] or bag in _RESERVED or not _NAME.fullmatch(bag):
            omit(bag, "is not allowed as a data bag")
            continue
        for item, value in sorted(values.items()):
            if _NAME.fullmatch(item):
                items[_path(bag, item)] = _text(item, value)
            else:
                omit(f"{bag}/{item}", "is not a name that Chef allows")
    return items


def _path(bag: str, item: str) -> str:
    return f"{bag}/{item}.json"


def _text(item: str, value: Any) -> str:
    members = value if isinstance(value, dict) else {"value": value}
    return as_json({**members, "id": item})
