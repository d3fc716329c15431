"""The alerts and the dashboard that the project provides."""

from __future__ import annotations

import json
from pathlib import Path

_ETC = Path(__file__).parents[2] / "etc"
RULES = _ETC / "prometheus" / "factstore.rules.yml"
DASHBOARD = _ETC / "grafana" / "factstore.json"


def queries() -> dict[str, list[str]]:
    """Return the queries of the dashboard by the title of their panel."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return {panel["title"]: [each["expr"] for each in panel["targets"]] for panel in panels}
