"""The figures, printed on the terminal and written as pages.

``results.json`` keeps the figures of each part, so that a run of some parts replaces only theirs.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.goals import Goal

DATA = Path(__file__).with_name("results.json")
_PACKAGES = ("gunicorn", "gevent", "grpcio", "flask", "keystonemiddleware")


@dataclass
class Section:
    """Lines, tables and points of charts below one title."""

    title: str
    lines: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


@dataclass
class Part:
    """All results of one part.

    :ivar busy: share of the processors that others used before it began; None if that is unknown.
    :ivar goals: figures that have a target: what, figure, target and whether it is met.
    :ivar figures: numbers by name, for the README.
    :ivar series: points of charts: chart, name of the line, and its points.
    """

    machine: list[str]
    seconds: float = 0.0
    busy: float | None = None
    sections: list[Section] = field(default_factory=list)
    goals: list[list[Any]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    series: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)


def _origin() -> str:
    """Return whose Python this is: distributions build it with optimisations from profiles."""
    return " of the distribution" if sys.base_prefix == "/usr" else ""


class Report:
    """Collects the results of parts and prints them immediately."""

    def __init__(self, etcd_version: str) -> None:
        packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
        machine = (
            f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {platform.machine()}, "
            f"{os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB, "
            f"Linux {platform.release()}"
        )
        self._machine = [
            machine,
            f"Python {platform.python_version()}{_origin()}, etcd {etcd_version}, {packages}",
        ]
        self.parts: dict[str, Part] = {}
        self._part = Part(self._machine)
        print("\n".join(self._machine), flush=True)

    def part(self, name: str, busy: float) -> None:
        """Begin a part.

        :param busy: share of the processors that others use.
        """
        self._part = self.parts[name] = Part(self._machine, busy=busy)

    def drop(self, name: str) -> None:
        """Forget a part that has failed, so that its earlier results are kept."""
        del self.parts[name]

    def took(self, seconds: float) -> None:
        """Record the duration of the current part."""
        self._part.seconds = seconds
        print(f"  ({seconds:.0f} s)", flush=True)

    def section(self, title: str, head: Sequence[str] = ()) -> None:
        """Begin a section.

        :param head: headings of its table, if it has one.
        """
        self._part.sections.append(Section(title, head=list(head)))
        print(f"\n{title}", flush=True)
        if head:
            print("  " + " | ".join(head), flush=True)

    @property
    def head(self) -> list[str]:
        """The headings of the current section's table."""
        return self._part.sections[-1].head

    def line(self, text: str) -> None:
        """Add a line to the current section."""
        self._part.sections[-1].lines.append(text)
        print(f"  {text}", flush=True)

    def row(self, *cells: str) -> None:
        """Add a row to the table of the current section."""
        self._part.sections[-1].rows.append(list(cells))
        print("  " + " | ".join(cells), flush=True)

    def figure(self, name: str, number: float) -> None:
        """Keep a number for the README."""
        self._part.figures[name] = number

    def point(self, chart: str, line: str, x: float, y: float) -> None:
        """Add a point to a line of a chart."""
        self._part.series.setdefault(chart, {}).setdefault(line, []).append((x, y))

    def goal(self, what: str, figure: float, goal: Goal) -> str:
        """Record a figure that has a target; return the target and whether it is met."""
        met = goal.met(figure)
        self._part.goals.append([what, figure, str(goal), met])
        return f"{goal}, {'met' if met else '**not met**'}"

    def all_parts(self) -> dict[str, Part]:
        """Return the results of this run, and the earlier ones of all other parts."""
        return {**load(), **self.parts}


def load(path: Path = DATA) -> dict[str, Part]:
    """Return the results that were written by earlier runs."""
    if not path.exists():
        return {}
    return {name: _part(fields) for name, fields in json.loads(path.read_text()).items()}


def _part(fields: Mapping[str, Any]) -> Part:
    sections = [Section(**each) for each in fields["sections"]]
    return Part(**{**fields, "sections": sections})


def save(parts: Mapping[str, Part], path: Path = DATA) -> None:
    """Write the results of all parts."""
    data = {
        name: {**vars(part), "sections": [vars(each) for each in part.sections]}
        for name, part in parts.items()
    }
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(errors="replace")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join(found[1].split()) if found else "unknown"


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
