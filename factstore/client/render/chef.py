"""Renders contexts as data bags, for chef-solo and for ``chef-client --local-mode``.

In Chef, an item is a JSON object in ``<bag>/<item>.json``, its ``id`` is the name of the item, and
names consist of letters, digits and ``_.-``.
"""

from __future__ import annotations

import re
from typing import Any

from factstore.client.render.document import Document
from factstore.client.render.texts import as_json

CONTEXT = ("factstore", "context")
"""The bag and the item that contain the whole document."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # excludes paths that leave the folder
_RESERVED = {"node", "role", "environment", "client"}


def data_bags(document: Document) -> dict[str, str]:
    """Return items by path: ``nodes/head/ip`` becomes ``ip`` in the item ``head`` of the bag ``nodes``.

    :raises ValueError: Chef does not allow the name of a bag or an item.
    """
    items: dict[tuple[str, str], Any] = {
        (bag, item): value
        for bag, values in document["facts"].items()
        if isinstance(values, dict)
        for item, value in values.items()
    }
    if any(bag == CONTEXT[0] for bag, _ in items):
        raise ValueError(
            f"Facts below {CONTEXT[0]} would become items of the context's data bag. Use another path."
        )
    items[CONTEXT] = document
    return {_path(bag, item): _text(item, value) for (bag, item), value in sorted(items.items())}


def _path(bag: str, item: str) -> str:
    if not _NAME.fullmatch(bag) or not _NAME.fullmatch(item) or bag in _RESERVED:
        raise ValueError(
            f"Chef does not allow the data bag {bag} or its item {item}. Use another path."
        )
    return f"{bag}/{item}.json"


def _text(item: str, value: Any) -> str:
    members = value if isinstance(value, dict) else {"value": value}
    return as_json({**members, "id": item})
