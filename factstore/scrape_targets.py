"""Targets of Prometheus, as its service discovery by HTTP and by files expects them.

The service and the renderer of the agent make them of members and facts, and return the same.
"""

from __future__ import annotations

import ipaddress
from typing import Any

FORMAT = "prometheus-sd"
"""The name of the format, in URLs and for renderers."""


def parsed_address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address in a fact; None if its value is not the text of an address without a zone."""
    # The zone of an IPv6 address, after the %, can be any text and is meaningless on other hosts.
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def target_group(
    stack: str, node: str, value: Any, group: str | None, state: str | None
) -> dict[str, Any] | None:
    """Return the target of a node with its labels; None if it has no address.

    A target is the address without a port, because rules for relabelling add the port of an exporter.
    The labels begin with ``__meta_factstore_``, which Prometheus discards after relabelling, so that no
    fact takes the place of a label that Prometheus sets itself.

    :param value: of the node's fact ``ip``.
    :param group: of the member; None for a node that is not a member.
    :param state: of the member.
    """
    address = parsed_address(value)
    if address is None:
        return None
    host = f"[{address}]" if address.version == 6 else str(address)
    known = {"stack": stack, "node": node, "group": group, "state": state}
    labels = {f"__meta_factstore_{name}": text for name, text in known.items() if text is not None}
    return {"targets": [host], "labels": labels}
