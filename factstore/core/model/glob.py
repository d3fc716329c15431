"""Patterns of texts in which ``*`` stands for any run of characters and ``?`` for one character.

There is no escape and nothing else is special, so the time of a comparison is at most proportional to
the length of the text times that of the pattern: no pattern can backtrack.
"""

from __future__ import annotations

import re


class Glob:
    """A pattern that is compared with whole texts."""

    __slots__ = ("_first", "_inner", "_last", "_last_length")

    def __init__(self, pattern: str) -> None:
        first, *others = pattern.split("*")
        self._first = _compiled(first)
        self._inner = [_compiled(piece) for piece in others[:-1]]
        self._last = _compiled(others[-1]) if others else None
        self._last_length = len(others[-1]) if others else 0

    def matches(self, text: str) -> bool:
        """Return True if the pattern matches the whole text."""
        if self._last is None:
            return self._first.fullmatch(text) is not None
        found = self._first.match(text)
        for piece in self._inner:  # the leftmost place of a piece leaves most to the others
            found = found and piece.search(text, found.end())
        if found is None:
            return False
        start = len(text) - self._last_length
        return start >= found.end() and self._last.fullmatch(text, start) is not None


def _compiled(piece: str) -> re.Pattern[str]:
    """Return an expression of fixed length."""
    characters = ("." if character == "?" else re.escape(character) for character in piece)
    return re.compile("".join(characters), re.DOTALL)
