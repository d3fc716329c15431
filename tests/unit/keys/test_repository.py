"""Repositories of keys: what is used, what is refused, and what a rotation leaves."""

from __future__ import annotations

import fcntl
import os
import re
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from factstore.keys import rotation
from factstore.keys.repository import Repository, RepositoryError
from factstore.keys.rotation import (
    create,
    locked_repository,
    refuse_other_files,
    remove,
    rotate,
    surplus_keys,
)
from tests.sealing_keys import make_keys, rotate_keys


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return make_keys(tmp_path / "keys")


def numbers(path: Path) -> list[int]:
    return [key.number for key in Repository(path).read_keys()]


def texts(path: Path) -> dict[int, bytes]:
    return {key.number: key.text for key in Repository(path).read_keys()}


def test_a_new_repository_has_a_primary_and_a_staged_key_that_are_its_owners_alone(
    keys: Path,
) -> None:
    assert numbers(keys) == [1, 0]
    assert len(set(texts(keys).values())) == 2
    assert keys.stat().st_mode & 0o777 == 0o700
    assert {(keys / name).stat().st_mode & 0o777 for name in ("0", "1")} == {0o600}


def test_a_repository_with_keys_is_not_created_again(keys: Path) -> None:
    before = texts(keys)
    with locked_repository(keys) as repository:
        assert not create(repository)
    assert texts(keys) == before


def test_a_rotation_makes_the_staged_key_the_primary_one_and_stages_another(keys: Path) -> None:
    before = texts(keys)
    assert rotate_keys(keys) == 2
    after = texts(keys)
    assert numbers(keys) == [2, 1, 0]
    assert (after[2], after[1]) == (before[0], before[1])
    assert after[0] not in before.values()


def test_a_rotation_that_was_interrupted_is_brought_to_its_end(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = texts(keys)

    def crash(repository: Repository, number: int) -> None:
        raise OSError("the machine stopped")

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_write", crash)
        with pytest.raises(RepositoryError), locked_repository(keys) as repository:
            rotate(repository)
    assert texts(keys) == {**before, 2: before[0]}, "what was staged is the primary key already"
    with locked_repository(keys) as repository:
        assert rotate(repository) is None
    after = texts(keys)
    assert numbers(keys) == [2, 1, 0]
    assert after[0] not in before.values()


def test_a_creation_that_was_interrupted_is_brought_to_its_end(keys: Path) -> None:
    staged = texts(keys)[0]
    (keys / "1").unlink()
    with pytest.raises(RepositoryError, match="staged key only"):
        numbers(keys)
    with locked_repository(keys) as repository:
        assert rotate(repository) is None
    assert numbers(keys) == [1, 0]
    assert texts(keys)[0] == staged


def test_an_interrupted_creation_is_continued_and_other_files_are_left_once_there_are_keys(
    keys: Path,
) -> None:
    (keys / "1").unlink()
    (keys / ".lock").touch()
    (keys / ".new-abc").touch()
    (keys / "lost+found").mkdir()
    refuse_other_files(keys)
    with locked_repository(keys) as repository:
        rotate(repository)
    (keys / "README").touch()
    refuse_other_files(keys)


@pytest.mark.parametrize("name", ["tls.pem", "0"])
def test_a_directory_of_other_files_gets_no_keys(tmp_path: Path, name: str) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    file = tmp_path / "other" / name
    file.touch(mode=0o600)
    with pytest.raises(RepositoryError, match=f"{re.escape(str(file))} is not a key"):
        refuse_other_files(tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == [file]


def test_only_the_oldest_keys_are_in_excess(keys: Path) -> None:
    for _ in range(3):
        rotate_keys(keys)
    with locked_repository(keys) as repository:
        assert surplus_keys(repository, 3) == [1, 2]
        assert surplus_keys(repository, 5) == []
        remove(repository, [1, 2])
    assert numbers(keys) == [4, 3, 0]


def test_a_file_whose_name_is_not_a_number_is_ignored(keys: Path) -> None:
    for name in ("01", "-1", "1.bak", ".new-1", "README"):
        (keys / name).write_text("anything")
    assert numbers(keys) == [1, 0]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_may_read_is_refused_with_the_right_mode(keys: Path, mode: int) -> None:
    (keys / "1").chmod(mode)
    with pytest.raises(RepositoryError, match=f"chmod 0600 {keys / '1'}"):
        Repository(keys).read_keys()


def test_a_directory_that_others_may_look_into_is_refused(keys: Path) -> None:
    keys.chmod(0o755)
    with pytest.raises(RepositoryError, match=f"chmod 0700 {keys}"):
        Repository(keys).read_keys()


@pytest.mark.parametrize(
    "text", [b"", b"secret", urlsafe_b64encode(b"x" * 16), b"!" * 44, urlsafe_b64encode(b"x" * 48)]
)
def test_a_file_without_a_key_is_refused_and_its_content_not_shown(keys: Path, text: bytes) -> None:
    (keys / "1").write_bytes(text)
    with pytest.raises(RepositoryError, match="is not a key") as refused:
        Repository(keys).read_keys()
    assert not text or text.decode() not in str(refused.value)


def test_the_error_of_a_missing_directory_names_the_command_that_creates_it(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="factstore rotate-keys"):
        Repository(tmp_path / "none").read_keys()


def test_two_do_not_change_a_repository_at_once(keys: Path) -> None:
    with (keys / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RepositoryError, match="another process"), locked_repository(keys):
            pytest.fail("it was changed all the same")
    with locked_repository(keys):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_created_by_root_belong_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.mkdir(mode=0o700)
    os.chown(path, 12345, 12345)
    make_keys(path)
    rotate_keys(path)
    assert {(file.stat().st_uid, file.stat().st_gid) for file in path.iterdir()} == {(12345, 12345)}
