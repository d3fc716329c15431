"""A plain value is stored without being parsed, as if it had been."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from factstore.api.fact_body import plain_puts, plain_text
from factstore.core.model.fact import Put
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


_PATHS = st.text(alphabet='ab/-_.:"\\\u00e9 ', max_size=5)
_OPERATIONS = st.builds(
    lambda path, value, kind: {"put": {"path": path, "value": value} | kind},
    _PATHS,
    _SCALARS | st.lists(_SCALARS, max_size=2),
    st.sampled_from([{}, {}, {}, {"kind": "parameter"}]),
) | st.builds(lambda path: {"delete": {"path": path}}, _PATHS)
_BATCHES = st.one_of(
    st.builds(
        lambda operations, separators: json.dumps(
            {"operations": operations}, ensure_ascii=False, separators=separators
        ).encode(errors="surrogatepass"),
        st.lists(_OPERATIONS, max_size=4),
        st.sampled_from([None, (",", ":")]),
    ),
    st.from_regex(
        rb'[{]"operations":\[([{]"put":[{]"(path|value)":"a","value":(1|"b"|01|[{]) ?'
        rb"[}]{1,3}[, ]{0,2}){0,3}\]?[}]?",
        fullmatch=True,
    ),
)


@given(_BATCHES)
@example(b'{"operations":[{"put":{"path":"a","value":1}}{"put":{"path":"b","value":1}}]}')
@example(b'{"operations":[{"put":{"path":"a","value":1}},]}')
@example(b'{"operations":[,{"put":{"path":"a","value":1}}]}')
@example(b'{"operations":[{"put":{"path":"a","value":1}}]}{}')
@example(b'{"operations":[{"put":{"path":"a","value":1}}],"operations":[]}')
@example(b'{"operations":["{"put":{"path":"a","value":1}}"]}')
@example(b'{"operations":[{"put":{"path":"a","value":1}},  {"put":{"path":"b","value":1}}]}')
def test_plain_puts_are_those_that_a_parser_finds(body: bytes) -> None:
    puts = plain_puts(body)
    if puts is not None:
        parsed = parse_json(body)
        assert parsed.keys() == {"operations"}
        given_puts = [operation["put"] for operation in parsed["operations"]]
        assert all(operation.keys() == {"put"} for operation in parsed["operations"])
        assert all(each.keys() == {"path", "value"} for each in given_puts)
        assert [Put.plain(each["path"], each["value"]) for each in given_puts] == puts


@given(
    st.lists(
        st.tuples(st.text(alphabet="ab/-_.:", min_size=1), st.text(alphabet="ab {}[],:")),
        min_size=1,
        max_size=4,
    )
)
def test_usual_batches_need_no_parser(facts: list[tuple[str, str]]) -> None:
    puts = [{"put": {"path": path, "value": value}} for path, value in facts]
    for separators in (None, (",", ":")):
        body = json.dumps({"operations": puts}, separators=separators).encode()
        assert plain_puts(body) == [Put(path, canonical(value)) for path, value in facts]
