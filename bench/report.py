"""The figures, printed on the terminal and written as a page."""

from __future__ import annotations

import datetime
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
_PACKAGES = ("gunicorn", "gevent", "grpcio", "flask", "keystonemiddleware")


class Report:
    """Sections of lines, printed immediately."""

    def __init__(self, etcd_version: str) -> None:
        self._sections: list[tuple[str, list[str]]] = []
        packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
        machine = (
            f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {platform.machine()}, "
            f"{os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB, "
            f"Linux {platform.release()}"
        )
        self.machine = [
            machine,
            f"Python {platform.python_version()}, etcd {etcd_version}, {packages}",
            "One worker. Load generator, service, etcd and Keystone share the machine.",
        ]
        print("\n".join(self.machine), flush=True)

    def section(self, title: str) -> None:
        """Begin a section."""
        self._sections.append((title, []))
        print(f"\n{title}", flush=True)

    def line(self, text: str) -> None:
        """Add a line to the current section."""
        self._sections[-1][1].append(text)
        print(f"  {text}", flush=True)

    def write(self) -> None:
        """Write the page beside this module."""
        lines = [
            "# Results of the benchmark",
            "",
            "`make bench` prints these figures, `make bench BENCHARGS=--write` writes this page.",
            "Compare ratios: absolute numbers are valid for this machine and this run only.",
            "",
            *(f"* {line}" for line in self.machine),
        ]
        for title, found in self._sections:
            lines += ["", f"## {title}", "", *(f"* {line}" for line in found)]
        RESULTS.write_text("\n".join(lines) + "\n")


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(errors="replace")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join(found[1].split()) if found else "unknown"


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
