"""Patterns of the names of stacks."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Invalid
from factstore.core.model.stack_patterns import ALL_STACKS, PATTERNS, StackPatterns


@given(st.text("ab*?", min_size=1, max_size=8), st.text("ab", min_size=1, max_size=8))
def test_patterns_match_as_those_of_a_shell(pattern: str, name: str) -> None:
    assert StackPatterns.of([pattern]).matches(name) == fnmatchcase(name, pattern)


def test_a_pattern_with_many_stars_is_matched_quickly() -> None:
    assert not StackPatterns.of(["*a" * 60 + "b"]).matches("a" * 128)


def test_patterns_are_equal_in_any_order() -> None:
    assert StackPatterns.of(["b", "a**", "b"]) == StackPatterns.of(["a*", "b"])
    assert StackPatterns.of([]) == ALL_STACKS
    assert StackPatterns.of(["a", "b?"]).matches("b1")
    assert not StackPatterns.of(["a", "b?"]).matches("b")


@pytest.mark.parametrize(
    "text", ["", "a/b", "a b", "[a]", ".a", "a\n", "ä", "*" * 129, "a,b", "{a}"]
)
def test_a_malformed_pattern_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        StackPatterns.of([text])


def test_too_many_patterns_are_refused() -> None:
    with pytest.raises(Invalid, match="at most 32"):
        StackPatterns.of([f"a{n}" for n in range(PATTERNS + 1)])
