"""Renders contexts as targets of Prometheus, for its file-based service discovery."""

from __future__ import annotations

from typing import Any

from factstore.client.render.document import (
    Document,
    Omit,
    address_of,
    folder,
    ignore,
    nodes,
    report_no_address,
)
from factstore.client.render.texts import as_json
from factstore.scrape_targets import target_group


def scrape_targets(document: Document, omit: Omit = ignore) -> str:
    """Return a list of targets: the members and nodes whose fact ``ip`` is an address."""
    members, about = folder(document, "members"), nodes(document)
    groups: list[dict[str, Any]] = []
    for name in sorted({*members, *about}):
        member = folder(members, name)
        group, state = (str(member[key]) if key in member else None for key in ("group", "state"))
        address = address_of(about.get(name))
        target = target_group(str(document["stack"]), name, address, group, state)
        if target is None:
            report_no_address(document, name, omit)
        else:
            groups.append(target)
    return as_json(groups)
