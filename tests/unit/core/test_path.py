"""The grammar of names, compared with a naive implementation of the specification."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import Invalid
from factstore.core.model.path import (
    ancestors,
    check_path,
    check_paths,
    check_stack_name,
    covers,
    quoted,
)

FIRST = string.ascii_letters + string.digits + "_"
REST = FIRST + ".:@-"

segments = st.builds(
    str.__add__, st.sampled_from(FIRST), st.text(st.sampled_from(REST), max_size=12)
)
paths = st.lists(segments, min_size=1, max_size=16).map("/".join)
near_paths = st.one_of(
    st.text(st.sampled_from("ab9_.:@-/ %\\\n\0é\uff0f"), max_size=24),
    st.text(max_size=12),
    st.lists(st.one_of(segments, st.text(max_size=3)), max_size=20).map("/".join),
)


def is_segment(text: str) -> bool:
    return 1 <= len(text) <= 128 and text[0] in FIRST and all(char in REST for char in text)


def is_path(text: str) -> bool:
    parts = text.split("/")
    return len(parts) <= 16 and all(is_segment(part) for part in parts) and len(text) <= 512


def accepted(text: str) -> bool:
    try:
        found = check_path(text)
    except Invalid as refused:
        return refused.code != "path_invalid"
    assert found == text, "a path was changed"
    return True


@given(near_paths)
def test_a_path_is_accepted_if_and_only_if_it_matches_the_specification(text: str) -> None:
    assert accepted(text) == is_path(text)


@given(paths)
def test_every_path_of_the_grammar_is_accepted_unchanged(path: str) -> None:
    assert accepted(path)


@given(st.text(st.sampled_from("ab9_.:@-/\n é"), max_size=12))
def test_a_stack_name_is_one_segment(text: str) -> None:
    if is_segment(text):
        assert check_stack_name(text) == text
    else:
        with pytest.raises(Invalid, match="segment"):
            check_stack_name(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "./a", "-a", "a/-b"),
        *("a%2Fb", "a\\b", " a", "a ", "a\n", "a\0b", "a\tb", "a\x7f"),
        *("\u00e9", "e\u0301", "a\uff0fb", "\u0430", "\u0661", "a\udcff"),
        "a" * 129,
        "/".join("a" * 17),
        "/".join(["a" * 102] * 5 + ["bb"]) + "/c",
    ],
)
def test_an_invalid_path_is_refused_and_never_normalised(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_path(text)
    assert refused.value.code == "path_invalid"
    refused.value.detail.encode("ascii")  # can be shown and logged anywhere
    with pytest.raises(Invalid) as among_others:
        check_paths(["a", text, "b"])
    assert among_others.value.detail == refused.value.detail


@pytest.mark.parametrize(
    "text", ["a" * 128, "/".join("a" * 16), "/".join(["a" * 102] * 4 + ["a" * 100]), "n1.x:y@z-_"]
)
def test_the_limits_themselves_are_allowed(text: str) -> None:
    assert check_path(text) == text
    check_paths([text, "a"])


def test_no_paths_are_valid() -> None:
    check_paths([])


@given(paths, st.text(st.sampled_from(REST), min_size=1, max_size=3))
def test_a_prefix_never_matches_a_longer_sibling(prefix: str, more: str) -> None:
    assert not covers(prefix, prefix + more)
    assert not covers(prefix, prefix + more + "/x")
    assert covers(prefix, prefix)
    assert covers(prefix, f"{prefix}/{more}")


@given(paths, paths)
def test_a_prefix_covers_the_paths_that_begin_with_its_segments(a: str, b: str) -> None:
    whole = a.split("/")
    assert covers(a, b) == (b.split("/")[: len(whole)] == whole)


@given(
    paths, st.integers(0, 600), st.sampled_from(" .-/%\\\0\n\x7f\u00e9\uff0f:_@") | st.characters()
)
def test_a_path_with_one_character_changed_is_judged_by_the_specification(
    path: str, at: int, char: str
) -> None:
    for near in (path[:at] + char + path[at:], path[:at] + char + path[at + 1 :]):
        assert accepted(near) == is_path(near)


@given(paths, paths, paths)
def test_covering_is_transitive_and_antisymmetric(a: str, b: str, c: str) -> None:
    deeper, deepest = f"{a}/{b}", f"{a}/{b}/{c}"
    assert covers(a, deeper)
    assert covers(deeper, deepest)
    assert covers(a, deepest)
    assert not covers(deeper, a)
    assert (covers(a, b) and covers(b, a)) == (a == b)


@given(paths, paths)
def test_a_path_is_covered_by_itself_and_its_ancestors(a: str, b: str) -> None:
    for prefix, path in ((a, b), (a, f"{a}/{b}"), (b, f"{a}/{b}")):
        assert covers(prefix, path) == (prefix == path or prefix in ancestors(path))


@given(paths)
def test_the_empty_prefix_covers_every_path(path: str) -> None:
    assert covers("", path)


@given(paths)
def test_the_ancestors_are_all_proper_folders_of_a_path_outermost_first(path: str) -> None:
    parts = path.split("/")
    assert list(ancestors(path)) == ["/".join(parts[:n]) for n in range(1, len(parts))]
    assert all(covers(above, path) and above != path for above in ancestors(path))


@given(st.text(max_size=90))
def test_a_quoted_name_is_short_ascii_on_one_line(text: str) -> None:
    text_shown = quoted(text)
    assert text_shown.isascii()
    assert text_shown.isprintable()
    assert len(text_shown) <= 12 * 80
