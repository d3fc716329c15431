"""Values by path, and which of them can be facts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from factstore.client import Put
from factstore.client.render import Omit

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}")
_DEEPEST, _LONGEST = 16, 512


def is_path(path: str) -> bool:
    """Return whether a fact can have this path."""
    segments = path.split("/")
    return (
        len(path) <= _LONGEST
        and len(segments) <= _DEEPEST
        and all(_SEGMENT.fullmatch(each) for each in segments)
    )


def puts(values: Mapping[str, Any] | Iterable[tuple[str, Any]], omit: Omit) -> list[Put]:
    """Return writes of values by path, without those that cannot be facts.

    A path that is a folder of another one is left out.
    """
    pairs = values.items() if isinstance(values, Mapping) else values
    kept: dict[str, Any] = {}
    for path, value in pairs:
        if not is_path(path):
            omit(path, "is not a valid path")
        elif value is None:
            omit(path, "is null")
        elif not _is_json(value):
            omit(path, "is not a JSON value")
        else:
            kept[path] = value
    folders = {
        "/".join(path.split("/")[:depth])
        for path in kept
        for depth in range(1, path.count("/") + 1)
    }
    for path in folders & kept.keys():
        omit(path, "is a folder of other facts")
        del kept[path]
    return [Put(path, value) for path, value in kept.items()]


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def leaves(document: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested documents with their paths.

    A document with a key that is not a segment of a path is one value.
    """
    for key, value in document.items():
        path = f"{above}/{key}" if above else str(key)
        if isinstance(value, Mapping) and value and _is_folder(value):
            yield from leaves(value, path)
        else:
            yield path, value


def _is_folder(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and _SEGMENT.fullmatch(key) for key in value)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by path as nested documents."""
    document: dict[str, Any] = {}
    for path, value in values.items():
        *above, last = path.split("/")
        folder = document
        for segment in above:
            folder = folder.setdefault(segment, {})
        folder[last] = value
    return document
