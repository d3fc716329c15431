"""A plain value is stored without being parsed, as if it had been."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from factstore.api.fact_body import plain_text
from factstore.core.model.value import canonical, parse_json

_SCALARS = st.one_of(
    st.text(alphabet=st.characters(max_codepoint=0x100)),
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.booleans(),
    st.none(),
)
_BODIES = st.one_of(
    st.builds(lambda value: json.dumps({"value": value}).encode(), _SCALARS),
    st.builds(
        lambda value: json.dumps(
            {"value": value}, ensure_ascii=False, separators=(",", ":")
        ).encode(),
        _SCALARS | st.lists(_SCALARS) | st.dictionaries(st.text(), _SCALARS),
    ),
    st.from_regex(rb'[{] ?"(?:value|kind)" ?: ?[-0-9eE."tfn\\xrualse{}:, \x00-\x20]{0,9}[}]?'),
)


@given(_BODIES)
@example(b'{"value":-0}')
@example(b'{"value":01}')
@example(b'{"value":9223372036854775808}')
@example(b'{"value":"a\x7f"}')
@example(b'{"value":"a"}\n')
@example(b'{"value":1,"value":2}')
def test_a_plain_value_has_the_text_that_a_parser_and_an_encoder_give_it(body: bytes) -> None:
    text = plain_text(body)
    if text is not None:
        parsed = parse_json(body)
        assert parsed == {"value": parsed["value"]}
        assert canonical(parsed["value"]) == text


@given(st.text(alphabet="ab /-_.[]{}'"), st.integers(-(10**18) + 1, 10**18 - 1), st.booleans())
def test_usual_values_are_plain(text: str, number: int, truth: bool) -> None:
    for value in (text, number, truth, None):
        for separators in (None, (",", ":")):
            body = json.dumps({"value": value}, separators=separators).encode()
            assert plain_text(body) == canonical(value)


def test_a_body_that_has_to_be_parsed_is_not_plain() -> None:
    for body in (
        b'{"value":"\\u0000"}',
        b'{"value":"\xc3\xa9"}',
        b'{"value":NaN}',
        b'{"value":1.0}',
        b'{"value":"a","kind":"parameter"}',
        b"{}",
        b'"text"',
    ):
        assert plain_text(body) is None, body
