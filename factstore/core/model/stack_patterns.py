"""Patterns of the names of stacks: ``*`` stands for any characters, ``?`` for one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from factstore.core.errors import Invalid
from factstore.core.model.path import quoted

PATTERN_LENGTH = 128
PATTERNS = 32
"""The most patterns in one request."""

STACK_PATTERN = rf"[A-Za-z0-9_*?][A-Za-z0-9_.:@*?-]{{0,{PATTERN_LENGTH - 1}}}"
_PATTERN = re.compile(STACK_PATTERN)


@dataclass(frozen=True, slots=True)
class StackPatterns:
    """The stacks whose name matches one of several patterns.  Create it with :meth:`of`."""

    texts: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> StackPatterns:
        """Return checked patterns, ordered and without duplicates; without any, that of all stacks.

        :raises Invalid: ``schema``.
        """
        if len(texts) > PATTERNS:
            raise Invalid(
                f"there are {len(texts)} patterns of stacks; at most {PATTERNS} are allowed. "
                "Use '*' to match several stacks with one pattern.",
                code="schema",
                extra={"field": "stacks"},
            )
        for text in texts:
            if not _PATTERN.fullmatch(text):
                raise Invalid(
                    f"{quoted(text)} is not a pattern of stacks: write the name of a stack, in which "
                    "'*' stands for any characters and '?' for one; at most "
                    f"{PATTERN_LENGTH} characters.",
                    code="schema",
                    extra={"field": "stacks"},
                )
        return cls(tuple(sorted({re.sub(r"\*+", "*", text) for text in texts})) or ("*",))

    @property
    def match_all(self) -> bool:
        """True if every name matches."""
        return "*" in self.texts

    def matches(self, name: str) -> bool:
        """Return True if a name matches."""
        return self.match_all or any(_matches(text, name) for text in self.texts)


@lru_cache(4096)  # the same stacks are matched with each of their events
def _matches(pattern: str, name: str) -> bool:
    """Return True if a name matches a pattern, in time proportional to the product of their lengths."""
    at = start = 0
    star, tried = -1, 0
    while at < len(name):
        if start < len(pattern) and pattern[start] == "*":
            star, tried = start, at
            start += 1
        elif start < len(pattern) and pattern[start] in ("?", name[at]):
            start += 1
            at += 1
        elif star >= 0:  # let the last star stand for one character more
            tried += 1
            start, at = star + 1, tried
        else:
            return False
    return all(rest == "*" for rest in pattern[start:])


ALL_STACKS = StackPatterns(("*",))
