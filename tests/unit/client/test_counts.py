"""Numbers of things are in the singular and the plural of their nouns."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import factstore.client.counts
import factstore.core.model.counts


@pytest.mark.parametrize(
    "counted", [factstore.client.counts.counted, factstore.core.model.counts.counted]
)
def test_the_last_word_gets_the_plural(counted: Callable[[int, str], str]) -> None:
    assert [counted(n, "fact") for n in (0, 1, 2)] == ["0 facts", "1 fact", "2 facts"]
    assert counted(1, "data key") == "1 data key"
    assert counted(3, "data key") == "3 data keys"
