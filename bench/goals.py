"""Targets of figures, and whether a figure meets its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A limit for a figure.

    :param at_least: True if the figure must not be smaller; otherwise it must not be larger.
    """

    limit: float
    at_least: bool = True

    def met(self, figure: float) -> bool:
        """Return whether the figure meets the target."""
        return figure >= self.limit if self.at_least else figure <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


def at_least(limit: float) -> Goal:
    """Return the target for a figure that must not be smaller."""
    return Goal(limit)


def at_most(limit: float) -> Goal:
    """Return the target for a figure that must not be larger."""
    return Goal(limit, at_least=False)
