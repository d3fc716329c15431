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


@contextmanager
def entry_points_read_once() -> Iterator[None]:
    """Let :func:`importlib.metadata.entry_points` search one reading of the installed distributions."""
    module: Any = metadata  # the type checker has only the signatures of the real function
    real = module.entry_points
    installed = real()

    @cache  # gevent searches for the same few groups at each of its patches
    def selected(**criteria: str) -> Any:
        return installed.select(**criteria) if criteria else installed

    module.entry_points = selected
    try:
        yield
    finally:
        module.entry_points = real
