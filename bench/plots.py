"""Plots of how cost grows, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from bench.charts import CHARTS, Chart

IMAGES = Path(__file__).parents[1] / "doc" / "source" / "images"

Points = Sequence[tuple[float, float]]


_COLOURS = ("#1f6feb", "#d1580f", "#1a7f53", "#8250df", "#b5357a", "#57606a")
_INK = "#24292f"
_STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "factstore",  # the same figures make the same file
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#8c959f",
    "xtick.color": "#57606a",
    "ytick.color": "#57606a",
}


def draw(name: str, lines: Mapping[str, Points], directory: Path = IMAGES) -> Path:
    """Write the plot of a chart; return its path."""
    chart = CHARTS[name]
    path = directory / f"bench-{name}.svg"
    with matplotlib.rc_context(_STYLE):
        figure, axes = pyplot.subplots(figsize=(7.2, 4.0), layout="constrained")
        colours = _colours(lines)
        for line, points in lines.items():
            xs, ys = zip(*sorted(points), strict=True)
            dashes = "--" if _is_gateway(line) else "-"
            axes.plot(xs, ys, dashes, color=colours[line], marker="o", markersize=4, linewidth=2)
        _axes(axes, chart, lines)
        _labels(axes, lines, colours)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    # matplotlib leaves spaces at the ends of lines.
    text = path.read_text()
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
    return path


def _is_gateway(line: str) -> bool:
    return line.endswith(", gateway")


def _colours(lines: Mapping[str, Points]) -> dict[str, str]:
    """Return a colour for each line; the gateway's line has that of the operation."""
    operations = dict.fromkeys(line.removesuffix(", gateway") for line in lines)
    chosen = dict(zip(operations, _COLOURS, strict=False))
    return {line: chosen[line.removesuffix(", gateway")] for line in lines}


def _axes(axes: Axes, chart: Chart, lines: Mapping[str, Points]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(chart.title, loc="left", fontweight="bold", fontsize=12)
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    axes.grid(visible=True, axis="y", color="#d0d7de", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    xs = sorted({x for points in lines.values() for x, _ in points})
    axes.set_xticks(xs, [f"{x:,.0f}" for x in xs])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    lowest = min(y for points in lines.values() for _, y in points)
    highest = max(y for points in lines.values() for _, y in points)
    axes.set_ylim(lowest / 2, highest * 2)


def _labels(axes: Axes, lines: Mapping[str, Points], colours: Mapping[str, str]) -> None:
    """Write the name of each line beside its end, without overlaps."""
    bottom, top = axes.get_ylim()
    gap = (top / bottom) ** 0.065  # of two labels, as a ratio, because the axis is logarithmic
    ends = sorted((max(points)[1], line) for line, points in lines.items())
    places: list[float] = []
    for y, _ in ends:
        places.append(max(y, places[-1] * gap) if places else y)
    if places[-1] * gap**0.5 > top:
        axes.set_ylim(bottom, places[-1] * gap)
    right = max(x for points in lines.values() for x, _ in points)
    for (_, line), y in zip(ends, places, strict=True):
        axes.annotate(
            line,
            (right, y),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=colours[line],
            annotation_clip=False,
        )
