"""The promises and the attacks in SECURITY.md name tests that exist."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows(section: str) -> list[str]:
    """Return the rows of the table in a section of SECURITY.md, each of which names tests."""
    text = (ROOT / "SECURITY.md").read_text().partition(f"\n## {section}\n")[2]
    found = [
        line for line in text.partition("\n## ")[0].splitlines() if re.match(r"\| [A-Z]", line)
    ]
    for row in found:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, row
        for module, test in named:
            assert f"def {test}(" in (ROOT / module).read_text(), row
    return found


def test_each_promise_names_a_test_that_exists() -> None:
    assert len(rows("What is promised")) > 20


def test_each_attack_names_a_test_that_exists() -> None:
    tried = {re.match(r"\| (S\d+):", row)[1] for row in rows("Attacks")}  # type: ignore[index]
    assert tried == {f"S{number}" for number in range(1, 21)}


def test_the_services_leave_no_core_dumps() -> None:
    for name in ("api", "notify"):
        unit = ConfigParser(strict=False, interpolation=None)
        unit.read(ROOT / "etc" / "systemd" / f"factstore-{name}.service")
        assert unit["Service"]["LimitCORE"] == "0", name
