"""Patterns of the names of stacks: ``*`` stands for any characters, ``?`` for one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from factstore.core.errors import Invalid
from factstore.core.model.glob import Glob
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass

PATTERN_LENGTH = 128
PATTERNS = 32
"""The most patterns in one request."""

STACK_PATTERN = rf"[A-Za-z0-9_*?][A-Za-z0-9_.:@*?-]{{0,{PATTERN_LENGTH - 1}}}"
_PATTERN = re.compile(STACK_PATTERN)


@quick_dataclass(frozen=True, slots=True)
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
                f"There are {len(texts)} patterns of stacks; at most {PATTERNS} are allowed. "
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

    def matches(self, name: str) -> bool:
        """Return True if a name matches."""
        names, globs = _parts(self.texts)
        return name in names or any(glob.matches(name) for glob in globs)

    @property
    def wildcards(self) -> int:
        """The number of patterns that are compared with each name."""
        return len(_parts(self.texts)[1])


@lru_cache(4096)
def _parts(texts: tuple[str, ...]) -> tuple[frozenset[str], tuple[Glob, ...]]:
    """Return the names among some patterns, and the others."""
    if "*" in texts:
        return frozenset(), (Glob("*"),)
    names = frozenset(text for text in texts if "*" not in text and "?" not in text)
    return names, tuple([Glob(text) for text in texts if text not in names])


ALL_STACKS = StackPatterns(("*",))
