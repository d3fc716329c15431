"""Arguments of commands."""

from __future__ import annotations

import pytest
from osc_lib.exceptions import CommandError

from factstore.osc.arguments import parse_json


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "NaN is not a JSON value"),
        ('{"at_least": -Infinity}', "-Infinity is not a JSON value"),
        ("[1e999]", "the number 1e999 is too large"),
        ("[" * 100_000, "nested too deep"),
        ("{", "is not JSON: Expecting"),
    ],
)
def test_text_that_is_not_json_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(CommandError, match=r"^<condition> ") as refused:
        parse_json(text, "<condition>")
    assert reason in str(refused.value)
