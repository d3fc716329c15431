#!/usr/bin/env python3
"""Check the built documentation: its links lead somewhere, and it loads nothing from other hosts.

Usage: tools/check_site.py DIRECTORY
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The ids of a page, its links, and the resources that a browser loads with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag refers to."""
        values = {name: value or "" for name, value in attrs}
        self.ids.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a":
            self.links += [values["href"]] if "href" in values else []
        else:
            self.loads += [values[name] for name in ("src", "href") if name in values]


def faults(root: Path) -> Iterator[str]:
    """Yield a line for each fault of the site below a directory."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in root.rglob("*.html")}
    if not pages:
        yield f"{root}: there are no pages"
    for path, page in pages.items():
        where = path.relative_to(root)
        for url in page.loads:
            if urlsplit(url).scheme not in ("", "data") or urlsplit(url).netloc:
                yield f"{where}: it loads {url}"
        for url in {*page.links, *page.loads}:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(target)
            if known is None and not target.is_file():
                yield f"{where}: there is no {url}"
            elif known and parts.fragment and unquote(parts.fragment) not in known.ids:
                yield f"{where}: there is no place {url}"


if __name__ == "__main__":
    found = sorted(faults(Path(sys.argv[1]).resolve()))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
