"""oslo.policy's checks that other packages provide, each of which is imported when a rule has one.

oslo.policy imports all of them for the first rule.  Its own ones of this kind send requests to another
service, and few operators use them, but their import takes 40 ms of the start of each worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any

import stevedore
from stevedore.extension import Extension


@contextmanager
def checks_imported_when_used() -> Iterator[None]:
    """Import no check for the first rule that is parsed meanwhile."""
    module: Any = stevedore
    real = module.ExtensionManager
    module.ExtensionManager = _extensions
    try:
        yield
    finally:
        module.ExtensionManager = real


def _extensions(namespace: str, **_: Any) -> list[Extension[Any]]:
    found = stevedore.NamedExtensionManager[Any](namespace, []).list_entry_points()
    makers: Any = [(each, partial(_make, each)) for each in found]  # instead of the classes
    return [Extension(each.name, each, make, None) for each, make in makers]


def _make(check: EntryPoint, kind: str, match: str) -> Any:
    """Return a check; rules are parsed at the start, and when the policy file has changed."""
    return check.load()(kind, match)
