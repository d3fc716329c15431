"""What is on disk, and what becomes of it when the agent is killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from factstore.agent.system.state_dir import StateDir, write_whole
from tests.unit.agent.factories import OWNER, REAL, state
from tests.unit.client.stub import FakeClock


def test_what_was_written_is_read_and_nobody_else_may(tmp_path: Path) -> None:
    kept = state(tmp_path)
    kept.write("member", {"generation": "1a"})
    assert state(tmp_path).read("member") == {"generation": "1a"}
    assert stat.S_IMODE(kept.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept.directory / "member.json").stat().st_mode) == 0o600


def test_what_another_member_left_is_not_read(tmp_path: Path) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    assert state(tmp_path, ("slurm", "c2")).read("member") is None
    assert state(tmp_path, ("other", "c1")).read("member") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"of": 1}', b"\xff"])
def test_what_is_broken_is_passed_over(tmp_path: Path, content: bytes) -> None:
    kept = state(tmp_path)
    (kept.directory / "member.json").write_bytes(content)
    assert kept.read("member") is None


def test_what_is_forgotten_is_gone_and_may_be_forgotten_twice(tmp_path: Path) -> None:
    kept = state(tmp_path)
    kept.write("member", {})
    kept.forget("member")
    kept.forget("member")
    assert kept.read("member") is None


KILLED = """\
import os, sys
from pathlib import Path
from factstore.agent.system.state_dir import write_whole
real = getattr(os, sys.argv[2])
setattr(os, sys.argv[2], lambda *args, **more: os.kill(os.getpid(), 9))
write_whole(Path(sys.argv[1]), b"new" * 100_000)
"""


@pytest.mark.parametrize("call", ["fchmod", "fsync", "replace"])
def test_a_write_that_is_cut_off_leaves_what_was_there(tmp_path: Path, call: str) -> None:
    file = state(tmp_path).directory / "member.json"
    file.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, file, call], check=False)
    assert done.returncode == -9
    assert file.read_bytes() == b"old"
    assert len(os.listdir(file.parent)) == 2
    StateDir(file.parent, OWNER).clean()
    assert os.listdir(file.parent) == ["member.json"]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "taken", b"x")
    assert os.listdir(tmp_path) == ["taken"]


def test_mode_and_owner_are_as_told(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"x", mode=0o640, group=os.getgid())
    found = (tmp_path / "file").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, os.getgid())


def test_one_agent_is_alone_and_another_learns_of_it(tmp_path: Path, clock: FakeClock) -> None:
    first, second = state(tmp_path), state(tmp_path)
    assert second.running() is None
    with first.alone(REAL) as other:
        assert other is None
        assert second.running() == os.getpid()
        with second.alone(clock) as found:
            assert found == os.getpid()
    with second.alone(REAL) as other:
        assert other is None


def test_who_looks_whether_one_runs_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    kept = state(tmp_path)
    lock = kept.lock("agent.lock")
    assert lock is not None

    class Releasing(FakeClock):
        def sleep(self, seconds: float) -> None:
            if lock in opened:
                os.close(opened.pop())

    opened = [lock]
    with kept.alone(Releasing()) as other:
        assert other is None
