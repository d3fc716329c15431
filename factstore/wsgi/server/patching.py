"""gevent's patches of the standard library, without its slow search for plugins.

For each module that gevent patches, it reads the metadata of all installed distributions twice to find
plugins.  With a hundred distributions that takes half of the time in which a worker starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from typing import Any

_GROUPS = "gevent."  # the beginning of all groups that gevent searches


@contextmanager
def plugins_read_once() -> Iterator[None]:
    """Let :func:`importlib.metadata.entry_points` search one reading for plugins of gevent."""
    module: Any = metadata  # the type checker has only the signatures of the real function
    real = module.entry_points
    installed: Any = metadata.EntryPoints(_plugins())

    @cache  # gevent searches for the same few groups at each of its patches
    def selected(**criteria: str) -> Any:
        if criteria.get("group", "").startswith(_GROUPS):
            return installed.select(**criteria)
        return real(**criteria)

    module.entry_points = selected
    try:
        yield
    finally:
        module.entry_points = real


def _plugins() -> Iterator[metadata.EntryPoint]:
    """Yield the entry points of the distributions that have plugins of gevent."""
    names = set()
    for each in metadata.distributions():
        # Most distributions have none, and parsing their entry points takes most of the time.
        if _GROUPS in (each.read_text("entry_points.txt") or "") and each.name not in names:
            names.add(each.name)  # a path before has another version of the others
            yield from each.entry_points
