"""Ports that no other process gets, and that stay the same from one run to the next."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from factstore.cmd.processes.ports import LOOPBACK, free_port, is_free, remembered_port

# Each process prints its ports, and runs until it may exit.
CHOOSE = """\
import sys
from factstore.cmd.processes.ports import free_port
few = range(int(sys.argv[1]), int(sys.argv[2]))
print(*[free_port(few) for _ in range(10)], flush=True)
sys.stdin.read()
"""
REMEMBER = """\
import sys
from pathlib import Path
from factstore.cmd.processes.ports import remembered_port
print(remembered_port(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def running(program: str, *arguments: object) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    return [int(port) for port in process.stdout.readline().split()]


@pytest.fixture
def few() -> range:
    """Return some ports that are free, very probably."""
    return range(start := free_port(range(20000, 30000)), start + 40)


def test_a_port_is_found_again(tmp_path: Path) -> None:
    file = tmp_path / "port"
    assert remembered_port(file) == remembered_port(file)


def test_a_port_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "port"
    port = remembered_port(file)
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
        other = remembered_port(file)
    assert other != port
    assert remembered_port(file) == other


@pytest.mark.parametrize("content", ["", "x", "-1", "70000", "\u0663"])
def test_a_note_that_is_no_port_counts_as_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "port"
    file.write_text(content)
    assert 0 < remembered_port(file) < 65536


def test_a_free_port_is_free() -> None:
    assert is_free(free_port())


def test_no_two_processes_get_the_same_port_while_both_live(few: range) -> None:
    with ExitStack() as living:
        processes = [living.enter_context(running(CHOOSE, few.start, few.stop)) for _ in range(3)]
        ports = [port for process in processes for port in told(process)]
        assert len(ports) == 30
        assert len({*ports}) == 30
        assert {*ports} <= {*few}
        for process in processes:
            process.communicate("")


def test_the_ports_of_a_process_that_ended_are_free_again(few: range) -> None:
    for _ in range(5):  # more than there are ports
        with running(CHOOSE, few.start, few.stop) as process:
            assert len(told(process)) == 10
            process.communicate("")


def test_a_port_in_use_is_not_chosen() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="no free port"):
            free_port(range(port, port + 1))
    assert free_port(range(port, port + 1)) == port


def test_a_port_that_is_remembered_is_not_given_to_others(tmp_path: Path) -> None:
    with running(REMEMBER, tmp_path / "port") as first:
        (noted,) = told(first)
        first.communicate("")
    with running(REMEMBER, tmp_path / "port") as second:
        assert told(second) == [noted]
        with pytest.raises(OSError, match="no free port"):
            free_port(range(noted, noted + 1))
        second.communicate("")
