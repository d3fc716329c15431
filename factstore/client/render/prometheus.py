"""Renders contexts as targets of Prometheus, for its file-based service discovery."""

from __future__ import annotations

import ipaddress
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


def scrape_targets(document: Document, omit: Omit = ignore) -> str:
    """Return a list of targets: the members and nodes whose fact ``ip`` is an address.

    A target is the address without a port, because rules for relabelling add the port of an exporter.
    The labels begin with ``__meta_factstore_``, which Prometheus discards after relabelling, so that no
    fact takes the place of a label that Prometheus sets itself.
    """
    members, about = folder(document, "members"), nodes(document)
    groups: list[dict[str, Any]] = []
    for name in sorted({*members, *about}):
        address = address_of(about.get(name))
        if address is None:
            report_no_address(document, name, omit)
            continue
        host = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
        member = folder(members, name)
        known = {key: str(member[key]) for key in ("group", "state") if key in member}
        labels = {"stack": str(document["stack"]), "node": name, **known}
        prefixed = {f"__meta_factstore_{key}": value for key, value in labels.items()}
        groups.append({"targets": [host], "labels": prefixed})
    return as_json(groups)
