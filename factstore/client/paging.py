"""Paging through lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit


def next_params(page: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the query parameters of the next page, or None after the last page."""
    # Only the query of the link is used: behind a proxy, the service may not know its own address.
    for link in page.get("links", ()):
        if link.get("rel") == "next":
            return dict(parse_qsl(urlsplit(link["href"]).query))
    return None
