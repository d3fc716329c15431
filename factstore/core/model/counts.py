"""Numbers of things, in words.

The client has the same function: it imports nothing of the service.
"""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts, such as ``1 fact`` or ``2 data keys``.

    :param noun: in the singular; its last word gets the plural.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
