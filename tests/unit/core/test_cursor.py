"""Cursors and entity tags from requests."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor, parse_tags

cursors = st.builds(
    Cursor, st.text("0123456789abcdef", min_size=16, max_size=16), st.integers(0, 2**63 - 1)
)
tags = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='" '))


@given(cursors)
def test_a_cursor_can_be_parsed_from_its_text(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor


@given(st.text(max_size=40) | st.text("0123456789abcdef.-+_ \n\u0661", max_size=40))
def test_only_the_text_of_a_cursor_is_parsed(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except Invalid as refused:
        assert refused.code == "cursor_invalid"  # noqa: PT017 - either outcome is right
    else:
        assert str(cursor) == text


def is_cursor(text: str) -> bool:
    """Return True for sixteen lower-case hexadecimal digits, a dot, and a revision of etcd."""
    epoch, dot, revision = text[:16], text[16:17], text[17:]
    digits = bool(revision) and all(char in "0123456789" for char in revision)
    return (
        len(epoch) == 16
        and all(char in "0123456789abcdef" for char in epoch)
        and dot == "."
        and digits
        and str(int(revision)) == revision
        and int(revision) < 2**63
    )


@given(
    cursors.map(str),
    st.integers(0, 40),
    st.sampled_from("0123456789abcdefA.-+_ \n\0\u0661\uff11") | st.characters(),
)
def test_a_text_that_differs_in_one_character_is_another_cursor_or_none(
    cursor: str, at: int, char: str
) -> None:
    before, behind = cursor[:at], cursor[at:]
    for near in (before + char + behind, before + char + behind[1:], before + behind[1:]):
        if is_cursor(near):
            assert str(Cursor.parse(near)) == near
        else:
            with pytest.raises(Invalid):
                Cursor.parse(near)


@given(cursors, cursors)
def test_different_positions_have_different_texts(a: Cursor, b: Cursor) -> None:
    assert (str(a) == str(b)) == (a == b)


@pytest.mark.parametrize(
    "revision",
    [*("", "-1", "+1", "01", "1.0", "1e3", "0x1", "1_0", " 1", "1 ", "1\n", "\u0661"), str(2**63)],
)
def test_a_revision_that_etcd_could_not_have_is_refused(revision: str) -> None:
    with pytest.raises(Invalid):
        Cursor.parse(f"0123456789abcdef.{revision}")


@pytest.mark.parametrize("epoch", ["", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdeff"])
def test_an_epoch_is_sixteen_small_hexadecimal_digits(epoch: str) -> None:
    with pytest.raises(Invalid):
        Cursor.parse(f"{epoch}.1")


@given(st.lists(tags, min_size=1, max_size=4), st.sampled_from([",", ", ", " ,", " , \t"]))
def test_a_list_of_tags_is_parsed_to_a_set(found: list[str], comma: str) -> None:
    header = comma.join(f'"{tag}"' for tag in found)
    assert parse_tags(header) == frozenset(found)
    assert parse_tags(f" {header} ") == frozenset(found)


def test_a_star_matches_any_tag() -> None:
    assert parse_tags("*") is None
    assert parse_tags(" * ") is None


@given(st.text('"a,* \tW/\n\\', max_size=12))
def test_only_a_star_or_quoted_tags_are_parsed(header: str) -> None:
    one = r'"[\x21\x23-\x7e]*"'
    if header.strip(" \t") == "*":
        assert parse_tags(header) is None
    elif re.fullmatch(rf"[ \t]*{one}(?:[ \t]*,[ \t]*{one})*[ \t]*", header):
        assert parse_tags(header) == frozenset(re.findall(r'"([^"]*)"', header))
    else:
        with pytest.raises(Invalid) as refused:
            parse_tags(header)
        assert refused.value.code == "etag_invalid"


@pytest.mark.parametrize(
    "header",
    ["", " ", ",", "a", '"a', 'a"', 'W/"a"', '"a" "b"', '"a",', ',"a"', '*,"a"', '"é"', "**"],
)
def test_a_header_without_strong_tags_is_refused(header: str) -> None:
    with pytest.raises(Invalid):
        parse_tags(header)
