"""Programs that are forks of a template behave as if they had been started by their commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factstore.cmd.processes.etcd import EtcdServer
from tests.commands import forked, program
from tests.eventually import eventually
from tests.forked_child import ForkedChild
from tests.processes import descendants, gone

SUPERVISOR = """\
import signal, sys
from pathlib import Path
from tests.service import ApiServer
server = ApiServer([sys.argv[1]], Path(sys.argv[2]))
server.start()
print(server.workers()[0], flush=True)
signal.pause()
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[ForkedChild]:
    child = ForkedChild("the agent")
    argv = [*program("factstore.agent.cli"), "--config", "missing.conf", "check"]
    child.start(argv, log_path=tmp_path / "log", env={"LANG": "C.UTF-8"}, cwd=tmp_path)
    yield child
    child.kill()


def test_a_forked_program_is_a_child_in_a_session_of_its_own(agent: ForkedChild) -> None:
    status = Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()
    assert int(status[1]) == os.getpid()
    assert int(status[3]) == agent.pid
    assert agent.wait(60) == 2
    assert "missing.conf" in agent.tail()
    assert "Traceback" not in agent.tail()


def test_a_killed_program_has_the_status_of_its_signal(agent: ForkedChild) -> None:
    agent.pause()
    assert agent.kill() == -signal.SIGKILL


def test_the_output_and_the_input_of_a_command_are_its_own() -> None:
    for name in ("one", "two"):
        done = forked("factstore.cmd.main", [name], {"COLUMNS": "200"})
        assert done.returncode == 2
        assert f"'{name}'" in done.stderr
        assert done.stdout == ""


def test_a_service_does_not_outlive_a_supervisor_that_was_killed(
    etcd: EtcdServer, tmp_path: Path
) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, etcd.endpoint, str(tmp_path / "api")],
        stdout=subprocess.PIPE,
        text=True,
    )
    with supervisor:
        assert supervisor.stdout is not None
        worker = int(supervisor.stdout.readline())
        started = descendants(supervisor.pid)
        assert worker in started
        supervisor.kill()
    eventually(lambda: gone(started))
