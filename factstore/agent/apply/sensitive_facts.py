"""Sensitive facts: fetched if this agent may read them, and inserted into the context's document.

A context contains null in place of a sensitive value, and its ETag.  Values are kept in memory only, by
their ETag, so that each is fetched once.  A value that the agent may not read stays null.  If a value
cannot be fetched now, the context is applied later: a file without its secret is worse than a late one.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from factstore.agent.system.program_output import printable
from factstore.client import Stack
from factstore.client.errors import Forbidden, NotFound

_REDACTED_LENGTH = 5
"""Secrets shorter than this many characters are not searched for in texts."""


class SensitiveFacts:
    """The sensitive values that the agent has fetched.  Several threads may use them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._values: dict[str, tuple[str, Any]] = {}  # ETag and value by path
        self._lock = threading.Lock()

    def reveal(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of a context's document with the sensitive values that the agent may read.

        :raises FactstoreError: the service cannot return a value now.
        """
        etags: Mapping[str, str] = document.get("sensitive") or {}
        if not etags:
            return dict(document)
        values = {path: self._fetch(path, etag) for path, etag in etags.items()}
        with self._lock:
            self._values = values  # facts that were deleted are dropped
        revealed = copy.deepcopy(dict(document))
        for path, (_, value) in values.items():
            _insert(revealed, path, value)
        return revealed

    def _fetch(self, path: str, etag: str) -> tuple[str, Any]:
        known = self._values.get(path)
        if known is not None and known[0] == etag:
            return known
        try:
            # If the fact is newer than the context, a context with its ETag follows soon.
            return etag, self._stack.get(path).value
        except (Forbidden, NotFound):
            return etag, None

    def redact(self, text: str) -> str:
        """Return a text for the log or for other members, with ``***`` in place of secrets."""
        return redacted(text, self._secrets())

    def occur_in(self, text: str) -> bool:
        """Return True if a text contains a secret."""
        return any(secret in text for secret in self._secrets())

    def _secrets(self) -> list[str]:
        """Return all secret texts and the lines of those that have several, longest first."""
        with self._lock:
            values = [value for _, value in self._values.values()]
        return secret_texts(values)


def secret_texts(values: Iterable[Any]) -> list[str]:
    """Return the texts in secret values and the lines of those that have several, longest first."""
    texts = {part for value in values for text in _strings(value) for part in _parts(text)}
    return sorted(texts, key=len, reverse=True)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return a text with ``***`` in place of secrets.

    :param secrets: the longest first.
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def without_cut_secret(text: str, secrets: Iterable[str]) -> str:
    """Return a text that may end within a secret, with ``***`` in place of the secret's beginning."""
    for secret in secrets:
        for length in range(min(len(secret) - 1, len(text)), _REDACTED_LENGTH - 1, -1):
            if text.endswith(secret[:length]):
                return f"{text[:-length]}***"
    return text


def hide(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a context's document with ``***`` for each sensitive fact."""
    hidden = copy.deepcopy(dict(document))
    for path in document.get("sensitive") or {}:
        _insert(hidden, path, "***")
    return hidden


def _parts(text: str) -> Iterator[str]:
    # Programs' lines are logged with spaces for control characters.
    for part in (text, printable(text), *text.splitlines()):
        if len(part.strip()) >= _REDACTED_LENGTH:
            yield part.strip()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _insert(document: dict[str, Any], path: str, value: Any) -> None:
    """Insert a value among the facts, and in ``self`` and ``peers``, which repeat members' facts."""
    segments = path.split("/")
    _replace(document.get("facts"), segments, value)
    if segments[0] != "nodes" or len(segments) < 3:
        return
    name, below = segments[1], segments[2:]
    own = document.get("self")
    if isinstance(own, dict) and own.get("name") == name:
        _replace(own.get("facts"), below, value)
    for peers in (document.get("peers") or {}).values():
        if name in peers:
            _replace(peers[name].get("facts"), below, value)


def _replace(folder: Any, segments: list[str], value: Any) -> None:
    for segment in segments[:-1]:
        folder = folder.get(segment) if isinstance(folder, dict) else None
    if isinstance(folder, dict) and segments[-1] in folder:
        folder[segments[-1]] = value
