"""The directive ``tested-releases``: tables of the environments that passed, and of their packages.

``tools/tested_releases.py`` writes the file after the tests of an environment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

FILE = Path(__file__).parents[1] / "reference" / "tested-releases.json"
NAMES = {
    "constraints-2025.1": "OpenStack 2025.1",
    "constraints-2025.2": "OpenStack 2025.2",
    "constraints-2026.1": "OpenStack 2026.1",
    "constraints-master": "OpenStack master",
    "constraints-tested": "constraints.txt",
    "lowest": "oldest packages",
    "etcd-next": "newest gRPC",
    "etcd-own": "own etcd messages",
}
HEAD = ("Environment", "Date", "Python", "etcd", "Tests", "Source of the versions")


class TestedReleases(Directive):
    def run(self) -> list[nodes.Node]:
        found: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
        entries = {name: found[key] for key, name in NAMES.items() if key in found}
        runs = [
            [
                name,
                entry["date"],
                entry["python"],
                entry["etcd"],
                str(entry["passed"]),
                entry["source"] or "the package index",
            ]
            for name, entry in entries.items()
        ]
        packages = sorted({package for entry in entries.values() for package in entry["packages"]})
        versions = [
            [package, *(entry["packages"].get(package, "") for entry in entries.values())]
            for package in packages
        ]
        return [_table(HEAD, runs), _table(["Package", *entries], versions)]


def _table(head: Any, rows: list[list[str]]) -> nodes.table:
    group = nodes.tgroup("", *(nodes.colspec(colwidth=10) for _ in head), cols=len(head))
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group)


def _row(cells: Any) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("tested-releases", TestedReleases)
    return {"parallel_read_safe": True}
