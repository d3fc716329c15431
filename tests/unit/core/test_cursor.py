"""Cursors and entity tags as they come from outside."""

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
def test_a_cursor_reads_back_as_it_was_written(cursor: Cursor) -> None:
    assert Cursor.parse(str(cursor)) == cursor


@given(st.text(max_size=40) | st.text("0123456789abcdef.-+_ \n\u0661", max_size=40))
def test_only_what_a_cursor_would_be_written_as_is_read(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except Invalid as refused:
        assert refused.code == "cursor_invalid"  # noqa: PT017 - either outcome is right
    else:
        assert str(cursor) == text


def is_cursor(text: str) -> bool:
    """As the documentation has it: sixteen small hexadecimal digits, a dot, a revision of etcd's."""
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
def test_one_character_more_less_or_other_is_no_cursor_unless_it_is_one_again(
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
def test_different_positions_are_written_differently(a: Cursor, b: Cursor) -> None:
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
def test_a_list_of_tags_reads_back_as_the_set_of_them(found: list[str], comma: str) -> None:
    header = comma.join(f'"{tag}"' for tag in found)
    assert parse_tags(header) == frozenset(found)
    assert parse_tags(f" {header} ") == frozenset(found)


def test_a_star_makes_no_demand_on_tags() -> None:
    assert parse_tags("*") is None
    assert parse_tags(" * ") is None


@given(st.text('"a,* \tW/\n\\', max_size=12))
def test_nothing_but_a_star_or_quoted_tags_is_read(header: str) -> None:
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
def test_a_header_that_is_no_list_of_strong_tags_is_refused(header: str) -> None:
    with pytest.raises(Invalid):
        parse_tags(header)
