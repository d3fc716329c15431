"""Counting the paths that are changed because of other changes."""

from __future__ import annotations

from factstore.core.state.caused_paths import AT_ONCE, PATHS, CausedPaths


def test_a_path_is_returned_after_each_change_above_the_threshold() -> None:
    paths = CausedPaths()
    for number in range(3):
        paths.note("a")
        assert paths.take_frequent(2) == (["a"] if number == 2 else [])
    assert paths.take_frequent(2) == []
    paths.note("a")
    paths.note("b")
    assert paths.take_frequent(2) == ["a"]


def test_many_paths_are_returned_in_parts_and_counted_up_to_a_limit() -> None:
    paths = CausedPaths()
    names = [f"p{number:04}" for number in range(AT_ONCE + 5)]
    for name in names * 2:
        paths.note(name)
    assert paths.take_frequent(1) == names[:AT_ONCE]
    assert paths.take_frequent(1) == names[AT_ONCE:]
    for number in range(PATHS + 1):
        paths.note(f"q{number}")
    paths.note("p0000")
    assert paths.take_frequent(1) == [], "counting has begun again"
