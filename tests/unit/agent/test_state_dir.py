"""Documents on disk, interrupted writes, and the lock of the state directory."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from factstore.agent.deploy.runs import Run, RunRecord
from factstore.agent.errors import describe
from factstore.agent.publish.command_facts import CommandFacts
from factstore.agent.system.environment import complete_environment
from factstore.agent.system.state_dir import StateDir, make_directory, write_atomically
from factstore.client.render.writing import replace
from tests.unit.agent.factories import OWNER, REAL, state
from tests.unit.client.stub import FakeClock


def test_a_document_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    kept = state(tmp_path)
    kept.write("member", {"generation": "1a"})
    assert state(tmp_path).read("member") == {"generation": "1a"}
    assert stat.S_IMODE(kept.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept.directory / "member.json").stat().st_mode) == 0o600


def test_a_document_of_another_member_is_ignored(tmp_path: Path) -> None:
    state(tmp_path).write("member", {"generation": "1a"})
    assert state(tmp_path, ("slurm", "c2")).read("member") is None
    assert state(tmp_path, ("other", "c1")).read("member") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"of": 1}', b"\xff"])
def test_an_invalid_document_is_ignored(tmp_path: Path, content: bytes) -> None:
    kept = state(tmp_path)
    (kept.directory / "member.json").write_bytes(content)
    assert kept.read("member") is None


def test_a_document_can_be_deleted_twice(tmp_path: Path) -> None:
    kept = state(tmp_path)
    kept.write("member", {})
    kept.delete("member")
    kept.delete("member")
    assert kept.read("member") is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EPERM, errno.EXDEV])
@pytest.mark.parametrize("call", ["open", "fchmod", "fsync", "replace"])
@pytest.mark.parametrize("write", [write_atomically, lambda path, data: replace(path, "new")])
def test_an_error_names_the_file_that_was_to_be_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    call: str,
    write: Callable[[Path, bytes], object],
) -> None:
    file = tmp_path / "conf"
    file.write_bytes(b"old")

    def fail(*args: object, **more: object) -> None:
        raise OSError(number, os.strerror(number), *args[:1])

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=r".") as caught:
        write(file, b"new")
    monkeypatch.undo()
    assert describe(caught.value) == f"{file}: {os.strerror(number)}"
    assert (file.read_bytes(), os.listdir(tmp_path)) == (b"old", ["conf"])


@pytest.mark.parametrize("name", ["missing/conf", "file/conf", "loop/conf", "folder", "n" * 256])
def test_a_file_that_cannot_be_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "x").mkdir(parents=True)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=r".") as caught:
        write_atomically(tmp_path / name, b"new")
    assert caught.value.filename == str(tmp_path / name)


KILLED = """\
import os, sys
from pathlib import Path
from factstore.agent.system.state_dir import write_atomically
real = getattr(os, sys.argv[2])
setattr(os, sys.argv[2], lambda *args, **more: os.kill(os.getpid(), 9))
write_atomically(Path(sys.argv[1]), b"new" * 100_000)
"""


@pytest.mark.parametrize("call", ["fchmod", "fsync", "replace"])
def test_an_interrupted_write_leaves_the_former_content(tmp_path: Path, call: str) -> None:
    file = state(tmp_path).directory / "member.json"
    file.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, file, call], check=False)
    assert done.returncode == -9
    assert file.read_bytes() == b"old"
    assert len(os.listdir(file.parent)) == 2
    StateDir(file.parent, OWNER).remove_partial_writes()
    assert os.listdir(file.parent) == ["member.json"]


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "taken", b"x")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_file_is_written_with_its_mode_and_group(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"x", mode=0o640, group=os.getgid())
    found = (tmp_path / "file").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, os.getgid())


def test_what_root_creates_belongs_to_the_owner_of_the_directory(
    tmp_path: Path,
) -> None:
    """Another user can only run the test with files of its own."""
    kept = state(tmp_path)
    if os.geteuid() == 0:
        os.chown(kept.directory, 65534, 65533)
    commands = CommandFacts(kept, lambda: "boot")
    commands.put("a", 1)
    commands.request_state("draining")
    os.close(kept.try_lock("agent.lock") or 0)
    make_directory(kept.directory / "actions")
    for run in (Run(kept.directory), Run(kept.directory / "actions")):
        run.begin(RunRecord("a", "1", "fail", [], {}))
    complete_environment({}, kept.directory, ["factstore-agent"])
    found = [kept.directory, *kept.directory.rglob("*")]
    assert {"said.json", "said.lock", "agent.lock", "run.json", "bin", "actions"} <= {
        each.name for each in found
    }
    owner = kept.directory.stat()
    assert {(each.stat().st_uid, each.stat().st_gid) for each in found} == {
        (owner.st_uid, owner.st_gid)
    }


def test_a_document_that_cannot_be_read_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = state(tmp_path)
    for content, reports in ((b"{", 1), (b"[]", 2)):
        (kept.directory / "member.json").write_bytes(content)
        assert [kept.read("member") for _ in range(3)] == [None] * 3
        assert caplog.text.count("ignoring") == reports


def test_a_second_agent_learns_the_process_id_of_the_first(
    tmp_path: Path, clock: FakeClock
) -> None:
    first, second = state(tmp_path), state(tmp_path)
    assert second.agent_pid() is None
    with first.exclusive(REAL) as other:
        assert other is None
        assert second.agent_pid() == os.getpid()
        with second.exclusive(clock) as found:
            assert found == os.getpid()
    with second.exclusive(REAL) as other:
        assert other is None


def test_a_command_that_checks_the_lock_does_not_block_the_agent(
    tmp_path: Path,
) -> None:
    kept = state(tmp_path)
    lock = kept.try_lock("agent.lock")
    assert lock is not None

    class Releasing(FakeClock):
        def sleep(self, seconds: float) -> None:
            if lock in opened:
                os.close(opened.pop())

    opened = [lock]
    with kept.exclusive(Releasing()) as other:
        assert other is None
