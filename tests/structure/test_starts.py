"""Tests start services by the real command only where the start itself matters.

The command takes a second of processor time more than a fork, and another for each worker.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.scheduling import kind

TESTS = Path(__file__).parents[1]
OWN = Path(__file__).relative_to(TESTS)
REAL_START = re.compile(
    r"\bAPI_ARGV\b|factstore\.cmd\.(serve|notify)\b|\bApiProcess\(|\bNotifierProcess\("
)
ALLOWED = {
    "faults/test_rolling_restart.py": "a reload of the service as it is installed",
    "functional/test_reserve.py": "compares the bundled server with another one",
    "functional/test_startup.py": "services that refuse to start",
    "functional/test_stream_ends.py": "the end of a service with the settings of an operator",
    "gate/world.py": "a service with a clock of its own, in the long gate",
    "docs/test_unit_file.py": "the service as systemd starts it",
    "keystone/test_names.py": "programs with an /etc/hosts of their own",
    "zaqar/test_queues.py": "runs on demand only",
    "forked_child.py": "the forks",
    "imported_service.py": "the forks",
    "service.py": "the forks",
}
"""Files, and why they run the command."""


def test_only_tests_about_starts_run_the_real_command() -> None:
    found = {
        str(file.relative_to(TESTS))
        for file in TESTS.rglob("*.py")
        if file.relative_to(TESTS) != OWN and REAL_START.search(file.read_text())
    }
    assert found - ALLOWED.keys() == set(), (
        "use ApiServer without argv, or add the file and a reason"
    )
    assert ALLOWED.keys() - found == set(), "these files no longer run the command"


SHARED_KEYSTONE = re.compile(r"^def test_[^)]*\b(?:own_)?keystone: KeystoneServer", re.MULTILINE)


ON_DEMAND = ("tests/install/", "tests/zaqar/")


def test_the_processes_with_a_keystone_take_the_files_that_need_one() -> None:
    found = {
        f"tests/{file.relative_to(TESTS)}"
        for file in TESTS.rglob("test_*.py")
        if SHARED_KEYSTONE.search(file.read_text())
    }
    used = {file for file in found if not file.startswith(ON_DEMAND)}
    assert len(used) > 10
    assert {file for file in used if kind(file) not in ("keystone", "heat")} == set()
