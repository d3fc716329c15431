"""Authentication: Keystone tokens, grants, or none; each sets the request's identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factstore.api import agent, docs_ui, versions
from factstore.console import files, session

PUBLIC_PATHS = versions.PATHS | docs_ui.PATHS | {agent.PATH, files.ROOT}
"""Paths that need no credentials."""

_CONSOLE_FILES = f"{files.ROOT}/"


def is_public(environ: Mapping[str, Any]) -> bool:
    """Return True if a request needs no credentials."""
    path = environ.get("PATH_INFO", "")
    if path == session.PATH:
        return environ["REQUEST_METHOD"] not in ("GET", "HEAD")  # signing in and out
    return path in PUBLIC_PATHS or path.startswith(_CONSOLE_FILES)
