"""The grammar of read sets, and the changes that concern them."""

from __future__ import annotations

import pytest

from factstore.core.errors import FactstoreError, TooLarge
from factstore.core.model.read_set import ENTRIES, ReadSet


@pytest.mark.parametrize(
    "pattern",
    ["a", "a/b/c", "a/", "*", "*/", "nodes/*/ip", "nodes/*/", "a/*/b/*/c/*/d/*", "a" * 128],
)
def test_a_pattern_is_a_path_with_stars_or_a_listing(pattern: str) -> None:
    assert ReadSet.of("c1", [pattern]).facts == (pattern,)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/",
        "/a",
        "a//",
        "a//b",
        "a/b*",
        "**",
        "a/**/b",
        "@/compute",
        "a b",
        "a\n",
        "\u00e9",
        "*/*/*/*/*",
        "a" * 129,
        "/".join("a" * 17),
    ],
)
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(FactstoreError) as refused:
        ReadSet.of("c1", [pattern])
    assert refused.value.code == "path_invalid"
    assert "whole segments" in refused.value.detail


def test_names_of_members_and_groups_are_checked() -> None:
    assert ReadSet.of("c1", members=["*", "c2"], groups=["head"]).members == ("*", "c2")
    assert ReadSet.of("c1", members=["*/"], groups=["head/"]).groups == ("head/",)
    for wrong in (
        {"members": ["a/b"]}, {"members": ["c*"]}, {"members": ["c1/"]}, {"members": ["/"]},
        {"groups": ["*"]}, {"groups": ["*/"]}, {"groups": ["/"]}, {"groups": ["a//"]},
    ):  # fmt: skip
        with pytest.raises(FactstoreError) as refused:
            ReadSet.of("c1", **wrong)
        assert refused.value.code == "path_invalid"


def test_a_read_set_is_limited() -> None:
    ReadSet.of("c1", [f"f{at}" for at in range(ENTRIES)])
    with pytest.raises(TooLarge, match="1001 entries"):
        ReadSet.of("c1", [f"f{at}" for at in range(ENTRIES)], groups=["g"])
    with pytest.raises(TooLarge, match="characters"):
        ReadSet.of("c1", [f"{'a' * 100}{at}" for at in range(900)])


def test_equal_read_sets_have_the_same_digest() -> None:
    one = ReadSet.of("c1", ["b", "a", "b"], groups=["g"])
    assert one.facts == ("a", "b")
    assert one.digest == ReadSet.of("c2", ["a", "b"], groups=["g"]).digest
    assert one.digest != ReadSet.of("c1", ["a", "b"], members=["g"]).digest


@pytest.mark.parametrize(
    ("pattern", "path", "reads"),
    [
        ("nodes/c1/ip", "nodes/c1/ip", True),
        ("nodes/c1", "nodes/c1/ip", True),  # below
        ("nodes/c1/ip/v4", "nodes/c1/ip", True),  # above: the value can be an object
        ("nodes/c1", "nodes/c10/ip", False),
        ("nodes/*/ip", "nodes/c1/ip", True),
        ("nodes/*/ip", "nodes/c1/load", False),
        ("nodes/*/ip", "nodes/c1", True),
        ("nodes/", "nodes/c1/ip", False),  # the value of a fact that exists
        ("nodes/", "nodes", True),
        ("*", "nodes/c1/ip", True),
    ],
)
def test_a_change_concerns_patterns_at_below_and_above_its_path(
    pattern: str, path: str, *, reads: bool
) -> None:
    assert ReadSet.of("c1", [pattern]).reads(path) == reads


def test_no_pattern_for_facts_is_concerned_by_members() -> None:
    patterns = ReadSet.of("c1", ["*", "*/"]).patterns()
    assert not any(each.overlaps(["@", "compute", "c1"]) for each in patterns)
