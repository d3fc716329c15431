"""A run with many repeated tests fails, and shows why each was repeated."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from subprocess import PIPE, run

import pytest

from tests.reruns import LIMIT

UNSTEADY = """
import pathlib
import pytest

@pytest.mark.parametrize("name", {names})
def test_unsteady(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = tmp_path_factory.getbasetemp() / name
    if not before.exists():
        before.touch()
        raise RuntimeError("the first try of " + name)
"""


@pytest.mark.parametrize("count", [LIMIT, LIMIT + 1])
def test_as_many_tests_as_allowed_may_be_repeated(tmp_path: Path, count: int) -> None:
    names = [f"t{n}" for n in range(count)]
    test = tmp_path / "test_unsteady.py"
    test.write_text(UNSTEADY.format(names=names))
    arguments = ["-p", "pytest_rerunfailures", "-p", "tests.reruns", "--reruns", "1"]
    command = [sys.executable, "-m", "pytest", *arguments, "--rootdir", str(tmp_path), str(test)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    result = run(command, stdout=PIPE, text=True, timeout=60, check=False, env=environment)
    assert result.returncode == (count > LIMIT), result.stdout
    last = result.stdout.splitlines()[-count - (count > LIMIT) :]
    assert [line.rpartition(" ")[2] for line in last[:count]] == names, "no place to look"
    assert all(line.startswith(f"repeated: {test.name}::test_unsteady") for line in last[:count])


def test_processes_report_their_tests_without_a_delay(pytestconfig: pytest.Config) -> None:
    if not hasattr(pytestconfig, "workerinput"):
        pytest.skip("there is one process")
    if not pytestconfig.pluginmanager.hasplugin("rerunfailures"):
        pytest.skip("no test is repeated")
    connection = pytestconfig.failures_db.sock  # type: ignore[attr-defined]
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
