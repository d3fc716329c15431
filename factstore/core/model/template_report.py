"""The report of an agent on the names that its templates lack, which is a fact among its results."""

from __future__ import annotations

import json
import re

from factstore.core.model.fact import Fact
from factstore.core.model.path import PATH_LENGTH, PATH_PATTERN, RESULTS

PATHS = 100
_PATH = re.compile(PATH_PATTERN)


def lacks_path(member: str) -> str:
    """Return the path of a member's report."""
    return f"{RESULTS}{member}/agent/missing"


def lacking(report: Fact) -> tuple[str, ...]:
    """Return the paths in a report; anything else is ignored, because any value can be put there."""
    found = json.loads(report.text)
    if not isinstance(found, list):
        return ()
    return tuple(
        path
        for path in found[:PATHS]
        if isinstance(path, str) and len(path) <= PATH_LENGTH and _PATH.fullmatch(path)
    )
