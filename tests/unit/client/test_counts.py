"""Numbers of things are in the singular and the plural of their nouns."""

from __future__ import annotations

from factstore.client.counts import counted


def test_the_first_word_gets_the_plural() -> None:
    assert [counted(n, "fact") for n in (0, 1, 2)] == ["0 facts", "1 fact", "2 facts"]
    assert counted(1, "key of an operator") == "1 key of an operator"
    assert counted(3, "key of an operator") == "3 keys of an operator"
