"""Facts that a context only names: fetched by those who may have them, and put where they lie.

A value is kept in memory alone, by the etag that the context names, so that it is fetched once.  What
this agent may not have stays null.  What it cannot have now holds everything up: a file that is written
without its secret is worse than one that is written later.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from factstore.client import Stack
from factstore.client.errors import Forbidden, NotFound

_SHOWN = 4  # characters of a secret that are too few to look for


class Sealed:
    """The sealed facts that this agent was given."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._known: dict[str, tuple[str, Any]] = {}
        self._lock = threading.Lock()

    def opened(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A context's document with all values that this agent may have.

        :raises FactstoreError: one cannot be had now.
        """
        named: Mapping[str, str] = document.get("sensitive") or {}
        if not named:
            return dict(document)
        known = {path: self._value(path, etag) for path, etag in named.items()}
        with self._lock:
            self._known = known  # what is named no more is forgotten
        opened = copy.deepcopy(dict(document))
        for path, (_, value) in known.items():
            _place(opened, path, value)
        return opened

    def _value(self, path: str, etag: str) -> tuple[str, Any]:
        known = self._known.get(path)
        if known is not None and known[0] == etag:
            return known
        try:
            # It may be newer than the context, which then changes soon and names the newer one.
            return etag, self._stack.get(path).value
        except (Forbidden, NotFound):
            return etag, None

    def hidden(self, text: str) -> str:
        """A text for a log, or for others: without any secret that this agent was given."""
        for secret in self._texts():
            text = text.replace(secret, "***")
        return text

    def within(self, text: str) -> bool:
        """Whether a text holds a secret that this agent was given."""
        return any(secret in text for secret in self._texts())

    def _texts(self) -> list[str]:
        """All texts that are secret, and all lines of those that have several; longest first."""
        with self._lock:
            values = [value for _, value in self._known.values()]
        texts = {each for value in values for text in _strings(value) for each in _parts(text)}
        return sorted(texts, key=len, reverse=True)


def _parts(text: str) -> Iterator[str]:
    for part in (text, *text.splitlines()):
        if len(part.strip()) > _SHOWN:
            yield part.strip()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _place(document: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at its path: among the facts, and where a member's are shown once more."""
    segments = path.split("/")
    _put(document.get("facts"), segments, value)
    if segments[0] != "nodes" or len(segments) < 3:
        return
    name, below = segments[1], segments[2:]
    myself = document.get("self")
    if isinstance(myself, dict) and myself.get("name") == name:
        _put(myself.get("facts"), below, value)
    for peers in (document.get("peers") or {}).values():
        if name in peers:
            _put(peers[name].get("facts"), below, value)


def _put(folder: Any, segments: list[str], value: Any) -> None:
    for segment in segments[:-1]:
        folder = folder.get(segment) if isinstance(folder, dict) else None
    if isinstance(folder, dict) and segments[-1] in folder:
        folder[segments[-1]] = value
