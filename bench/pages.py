"""The pages with the figures: RESULTS.md, the tables of the README and of the guides, and the plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import capacity, report
from bench.charts import CHARTS
from bench.readme import table
from bench.report import Part, Section

RESULTS = Path(__file__).with_name("RESULTS.md")
README = Path(__file__).parents[1] / "README.md"
CAPACITY = README.parent / "doc" / "source" / "admin" / "capacity-figures.inc"
HEAT = README.parent / "doc" / "source" / "how-to" / "heat-figures.inc"
BEGIN = "<!-- The table is written by `make bench BENCHARGS=--write`. -->"
END = "<!-- End of the table. -->"


def write(parts: Mapping[str, Part]) -> None:
    """Write all pages and the data from the results of all parts, in the order of the benchmark."""
    # Only this needs the plotting library, which is slow to import.
    from bench import plots

    report.save(parts)
    charts = [name for part in parts.values() for name in part.series]
    for name in dict.fromkeys(charts):
        plots.draw(name, lines_of(parts, name))
    RESULTS.write_text("\n".join(results(parts, list(dict.fromkeys(charts)))) + "\n")
    figures = {name: number for part in parts.values() for name, number in part.figures.items()}
    CAPACITY.write_text("\n".join(capacity.table(figures)) + "\n")
    if "heat" in parts:
        HEAT.write_text("\n".join(comparison(parts["heat"])) + "\n")
    README.write_text(with_table(README.read_text(), table(figures)))


def lines_of(parts: Mapping[str, Part], chart: str) -> dict[str, list[tuple[float, float]]]:
    """Return the lines of a chart, which several parts may have drawn."""
    return {
        name: points
        for part in parts.values()
        for name, points in part.series.get(chart, {}).items()
    }


def with_table(text: str, rows: list[str]) -> str:
    """Return a page with another table between the two marks."""
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"the page does not have the lines {BEGIN!r} and {END!r}")
    return "\n".join([before + BEGIN, "", *rows, "", END + after])


def comparison(heat: Part) -> Iterator[str]:
    """Yield the lines of the guide that compares a data bag with a launch configuration."""
    yield from (".. code-block:: text", "")
    for line in heat.sections[0].lines[:3]:
        yield f"   {line.partition(' (pairs')[0]}"


def results(parts: Mapping[str, Part], charts: list[str]) -> Iterator[str]:
    """Yield the lines of the page with all figures."""
    yield from (
        "# Results of the benchmark",
        "",
        "`make bench` prints these figures; `make bench BENCHARGS=--write` writes this page, the",
        "plots and the table in the README. Compare ratios: absolute numbers are valid for this run",
        "only. Load generator, service, etcd, Keystone and peers share the cores of one machine. There",
        "is one worker unless a line states otherwise. Ratios are medians over rounds of both sides.",
        "",
    )
    machines: dict[str, list[str]] = {}
    for name, part in parts.items():
        machines.setdefault("; ".join(part.machine), []).append(name)
    for machine, names in machines.items():
        yield f"* {machine}" + (f" ({', '.join(names)})" if len(machines) > 1 else "")
    yield f"* All parts took {sum(part.seconds for part in parts.values()) / 60:.1f} minutes."
    shares = [part.busy for part in parts.values() if part.busy is not None]
    if shares:
        yield (
            f"* When a part began, other programs used at most {max(shares):.0%} of the processors."
        )
    yield from _goals(parts)
    if charts:
        yield from ("", "## Plots", "")
        for chart in charts:
            about = CHARTS[chart]
            path = f"../doc/source/images/bench-{chart}.svg"
            yield f"![{about.title}, by {about.x}]({path})"
    for name, part in parts.items():
        for section in part.sections:
            yield from _section(section)
        yield from ("", f"`make bench BENCH={name}`: {part.seconds:.0f} s")


def _goals(parts: Mapping[str, Part]) -> Iterator[str]:
    goals = [goal for part in parts.values() for goal in part.goals]
    met = sum(bool(goal[3]) for goal in goals)
    yield from ("", f"## Targets: {met} of {len(goals)} met", "")
    yield from ("| figure | measured | target | |", "|---|---|---|---|")
    for what, figure, goal, is_met in goals:
        yield f"| {what} | {figure:.2f} | {goal} | {'met' if is_met else '**not met**'} |"


def _section(section: Section) -> Iterator[str]:
    yield from ("", f"## {section.title}", "")
    if section.rows:
        yield f"| {' | '.join(section.head)} |"
        yield "|---" * len(section.head) + "|"
        for row in section.rows:
            yield f"| {' | '.join(row)} |"
        if section.lines:
            yield ""
    for line in section.lines:
        yield f"* {line}"
