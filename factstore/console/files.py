"""The files of the console, which are read once and never change while the service runs."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from factstore.core.model.quick_dataclass import quick_dataclass

ROOT = "/console"
INDEX = "index.html"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cache-Control": "no-cache",  # a release replaces all files at once
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The headers of every file. No page of the console runs or loads what this service does not serve."""

_DIRECTORY = Path(__file__).with_name("files")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@quick_dataclass(frozen=True, slots=True)
class File:
    """A file with its media type and its entity tag."""

    content: bytes
    media_type: str
    etag: str


@cache
def files() -> dict[str, File]:
    """Return the files by their names, such as ``views/facts.js``."""
    found = {}
    for path in sorted(_DIRECTORY.rglob("*")):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:32]
            name = path.relative_to(_DIRECTORY).as_posix()
            found[name] = File(content, _TYPES[path.suffix], digest)
    return found
