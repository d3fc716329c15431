"""A plot of lines over time as SVG, each on a scale of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, MARGIN = 720, 130, 40


def plot(title: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return an image with a panel for each line, which begins at zero."""
    panels = [
        _panel(name, points, MARGIN + number * HEIGHT)
        for number, (name, points) in enumerate(lines.items())
    ]
    height = MARGIN + len(panels) * HEIGHT + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
            "<style>text { font: 12px sans-serif }</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
            f'<text x="{MARGIN}" y="24">{escape(title)}</text>',
            *panels,
            "</svg>\n",
        ]
    )


def _panel(name: str, points: Sequence[tuple[float, float]], top: int) -> str:
    end = max(at for at, _ in points) or 1.0
    most = max(value for _, value in points) or 1.0
    inner = HEIGHT - MARGIN
    bottom = top + inner
    path = " ".join(
        f"{MARGIN + at / end * (WIDTH - 2 * MARGIN):.1f},{bottom - value / most * inner * 0.9:.1f}"
        for at, value in points
    )
    return (
        f'<path d="M{MARGIN} {top}V{bottom}H{WIDTH - MARGIN}" fill="none" stroke="grey"/>'
        f'<polyline points="{path}" fill="none" stroke="navy" stroke-width="2"/>'
        f'<text x="{MARGIN + 6}" y="{top + 12}">{escape(name)}, at most {most:.1f}</text>'
        f'<text x="{WIDTH - MARGIN}" y="{bottom + 14}" text-anchor="end">{end:.0f} s</text>'
    )
