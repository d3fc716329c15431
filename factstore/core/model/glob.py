"""Patterns of texts in which ``*`` stands for any run of characters and ``?`` for one character.

There is no escape and nothing else is special, so the time of a comparison is at most proportional to
the length of the text times that of the pattern: no pattern can backtrack.
"""

from __future__ import annotations

import re
from functools import lru_cache


class Glob:
    """A pattern that is compared with whole texts."""

    __slots__ = ("_first", "_inner", "_last", "_length")

    def __init__(self, pattern: str) -> None:
        self._first, *others = pattern.split("*")
        self._last = others.pop() if others else None
        self._inner = others
        self._length = len(pattern) - pattern.count("*")

    def matches(self, text: str) -> bool:
        """Return True if the pattern matches the whole text."""
        if self._last is None:
            return len(text) == self._length and _is_at(self._first, text, 0)
        at, end = len(self._first), len(text) - len(self._last)
        if len(text) < self._length or not _is_at(self._first, text, 0):
            return False
        if not _is_at(self._last, text, end):
            return False
        for piece in self._inner:  # the leftmost place of a piece leaves most to the others
            found = _find(piece, text, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True


def _is_at(piece: str, text: str, at: int) -> bool:
    """Return True if a text has a piece at a position, which leaves room for it."""
    if "?" in piece:
        return _compiled(piece).match(text, at) is not None
    return text.startswith(piece, at)


def _find(piece: str, text: str, at: int, end: int) -> int:
    """Return the first position of a piece in a part of a text; -1 for none."""
    if "?" not in piece:
        return text.find(piece, at, end)
    found = _compiled(piece).search(text, at, end)
    return -1 if found is None else found.start()


@lru_cache(4096)
def _compiled(piece: str) -> re.Pattern[str]:
    """Return an expression of fixed length."""
    characters = ("." if character == "?" else re.escape(character) for character in piece)
    return re.compile("".join(characters), re.DOTALL)
