"""Numbers of things, in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts, such as ``1 fact`` or ``2 keys of Keystone``.

    :param noun: in the singular; its first word gets the plural.
    """
    if number == 1:
        return f"{number} {noun}"
    first, space, rest = noun.partition(" ")
    return f"{number} {first}s{space}{rest}"
