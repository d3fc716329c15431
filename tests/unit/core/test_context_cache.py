"""The cache of texts that many readers share."""

from __future__ import annotations

from factstore.core.services.context_cache import Cache


def test_a_value_is_returned_for_its_revision_only() -> None:
    cache: Cache[str, str] = Cache(10)
    cache.put("a", 1, "one", 3)
    assert cache.get("a", 1) == "one"
    cache.put("a", 2, "two", 3)
    assert (cache.get("a", 1), cache.get("a", 2), cache.get("b", 2)) == (None, "two", None)


def test_the_oldest_values_are_dropped_when_all_are_too_large() -> None:
    cache: Cache[str, str] = Cache(10)
    for name in ("a", "b", "a", "c"):  # each replaces an older value of its name
        cache.put(name, 1, name, 5)
    assert [cache.get(name, 1) for name in ("a", "b", "c")] == ["a", None, "c"]


def test_the_newest_value_is_kept_whatever_its_size() -> None:
    cache: Cache[str, str] = Cache(10)
    cache.put("a", 1, "a", 5)
    cache.put("large", 1, "large", 50)
    assert (cache.get("a", 1), cache.get("large", 1)) == (None, "large")
