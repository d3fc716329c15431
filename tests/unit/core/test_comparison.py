"""Comparisons of a fact's value."""

from __future__ import annotations

import time
from dataclasses import replace
from fnmatch import translate
from re import fullmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.model.comparison import MATCHED_LENGTH, PATTERN_LENGTH
from factstore.core.model.comparison import Test as Demand
from factstore.core.model.glob import Glob
from tests.unit.core.factories import fact

LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("test", "passing", "others"),
    [
        (Demand(at_least=0.5), [0.5, 1, LARGEST, 1e300], [0.4999, 0, -1, True, None, "1", [1]]),
        (Demand(at_most=1), [1, 1.0, -1e300, -0.0], [1.0000001, 2, False, "0", {"a": 0}]),
        # A float cannot hold the first; the numbers are compared exactly.
        (Demand(at_least=LARGEST), [LARGEST, float(LARGEST)], [LARGEST - 1]),
        (Demand(at_least=1, at_most=2), [1, 1.5, 2], [0.9, 2.1, ""]),
        (Demand(values=('"up"', "1")), ["up", 1], ["UP", 1.0, True, "1"]),
        (Demand(match="v2.*"), ["v2.", "v2.1"], ["v2", "xv2.1", "v21", 2]),
    ],
)
def test_a_comparison_passes_only_values_of_its_kind(
    test: Demand, passing: list[Any], others: list[Any]
) -> None:
    for value, expected in [(value, True) for value in passing] + [(v, False) for v in others]:
        assert test.passes(fact("a", value)) is expected, value
    assert not test.passes(None)


@pytest.mark.parametrize(
    "text", ["", "12abc", "-Infinity", "1e999", "9" * 400, "9" * 5000, '"a', '"\\u']
)
def test_a_malformed_value_in_the_store_passes_no_comparison(text: str) -> None:
    found = replace(fact("a", 1), text=text)
    for test in (Demand(at_most=2**63), Demand(match="*"), Demand(values=("1",))):
        assert not test.passes(found)


@given(st.text("ab\n.", max_size=8), st.text("ab\n.*?", max_size=8))
def test_a_pattern_matches_as_that_of_a_shell(text: str, pattern: str) -> None:
    assert Glob(pattern).matches(text) == (fullmatch(translate(pattern), text) is not None)


def test_the_longest_text_is_compared_in_a_moment_with_any_pattern() -> None:
    """A backtracking expression would need years for these."""
    text = fact("a", "a" * MATCHED_LENGTH)
    started = time.process_time()
    for pattern in ("*a" * 63 + "*b", "*" + "a" * 126 + "b", "*" + "?" * 120 + "b*b", "a*" * 64):
        assert len(pattern) <= PATTERN_LENGTH
        assert Demand(match=pattern).passes(text) is (pattern == "a*" * 64)
    assert time.process_time() - started < 5
    assert not Demand(match="*").passes(fact("a", "a" * (MATCHED_LENGTH + 1)))
