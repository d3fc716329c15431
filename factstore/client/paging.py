"""Lists in pages: the way from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit


def next_params(page: Mapping[str, Any]) -> dict[str, str] | None:
    """The query parameters of the page that follows; None after the last.

    Only the query of the link is used: behind a proxy the service does not know its own address.
    """
    for link in page.get("links", ()):
        if link.get("rel") == "next":
            return dict(parse_qsl(urlsplit(link["href"]).query))
    return None
