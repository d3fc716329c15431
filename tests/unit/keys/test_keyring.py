"""The keyring over a real repository: wrapping, binding, and noticing what changes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factstore.core.errors import SealBroken, SealingUnavailable
from factstore.keys.keyring import CHECK_SECONDS, RepositoryKeyring
from factstore.keys.repository import Repository
from tests.sealing_keys import Nowhere, lose_keys, make_keys, rotate_keys
from tests.unit.core.factories import ManualClock

ABOUT = b"a stack"
SHARED = RepositoryKeyring(Nowhere(), ManualClock())


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return make_keys(tmp_path / "keys")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keyring(keys: Path, clock: ManualClock) -> RepositoryKeyring:
    return RepositoryKeyring(Repository(keys), clock)


def test_a_data_key_is_unwrapped_unchanged(keyring: RepositoryKeyring) -> None:
    key = keyring.new_key()
    wrapped = keyring.wrap(key, ABOUT)
    assert key.hex() not in wrapped
    assert keyring.unwrap(wrapped, ABOUT) == key


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_key_wrapped_for_one_stack_is_not_unwrapped_for_another(one: bytes, other: bytes) -> None:
    keyring = SHARED
    wrapped = keyring.wrap(b"k" * 32, one)
    if one == other:
        assert keyring.unwrap(wrapped, other) == b"k" * 32
    else:
        with pytest.raises(SealBroken):
            keyring.unwrap(wrapped, other)


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_encryption_is_undone_only_about_the_same_and_unharmed(clear: bytes, about: bytes) -> None:
    key = SHARED.new_key()
    sealed = SHARED.encrypt(key, clear, about)
    assert SHARED.decrypt(key, sealed, about) == clear
    assert SHARED.encrypt(key, clear, about) != sealed
    harmed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong in (
        (key, sealed, about + b"x"),
        (SHARED.new_key(), sealed, about),
        (key, harmed, about),
        (key, sealed[:10], about),
        (key, b"", about),
    ):
        with pytest.raises(SealBroken):
            SHARED.decrypt(*wrong)


def test_a_rotation_elsewhere_is_noticed_within_a_second(
    keys: Path, keyring: RepositoryKeyring, clock: ManualClock
) -> None:
    wrapped = keyring.wrap(b"k" * 32, ABOUT)
    assert keyring.rewrap(wrapped, ABOUT) is None
    rotate_keys(keys)
    clock.advance(CHECK_SECONDS)
    renewed = keyring.rewrap(wrapped, ABOUT)
    assert renewed is not None
    assert keyring.unwrap(renewed, ABOUT) == b"k" * 32
    assert keyring.rewrap(renewed, ABOUT) is None


def test_a_key_that_is_missing_is_looked_for_at_once(
    keys: Path, keyring: RepositoryKeyring
) -> None:
    keyring.wrap(b"k" * 32, ABOUT)  # it has looked, and will not for a second
    rotate_keys(keys)
    rotate_keys(keys)  # what it does not know, not even as staged
    elsewhere = RepositoryKeyring(Repository(keys), ManualClock())
    assert keyring.unwrap(elsewhere.wrap(b"k" * 32, ABOUT), ABOUT) == b"k" * 32


def test_a_new_data_key_is_never_wrapped_with_a_key_that_was_just_dropped(
    keys: Path, keyring: RepositoryKeyring
) -> None:
    keyring.wrap(b"k" * 32, ABOUT)  # it has looked, and will not for a second
    rotate_keys(keys)
    lose_keys(keys, 1)
    wrapped = keyring.wrap(b"k" * 32, ABOUT)
    elsewhere = RepositoryKeyring(Repository(keys), ManualClock())
    assert elsewhere.unwrap(wrapped, ABOUT) == b"k" * 32


def test_the_staged_key_unwraps_keys_of_another_hosts_primary_key(
    tmp_path: Path, keys: Path, keyring: RepositoryKeyring
) -> None:
    there = tmp_path / "there"
    there.mkdir(mode=0o700)
    for name in ("0", "1"):
        (there / name).write_bytes((keys / name).read_bytes())
        (there / name).chmod(0o600)
    rotate_keys(there)
    elsewhere = RepositoryKeyring(Repository(there), ManualClock())
    assert keyring.unwrap(elsewhere.wrap(b"k" * 32, ABOUT), ABOUT) == b"k" * 32


def test_a_lost_key_is_unavailable_until_it_is_restored(
    keys: Path, keyring: RepositoryKeyring, clock: ManualClock
) -> None:
    wrapped = keyring.wrap(b"k" * 32, ABOUT)
    kept = (keys / "1").read_bytes()
    rotate_keys(keys)
    lose_keys(keys, 1)
    clock.advance(CHECK_SECONDS)
    with pytest.raises(SealBroken):
        keyring.unwrap(wrapped, ABOUT)
    (keys / "1").write_bytes(kept)
    (keys / "1").chmod(0o600)
    assert keyring.unwrap(wrapped, ABOUT) == b"k" * 32


def test_without_keys_the_error_states_so_and_the_log_gives_the_reason_once(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "none"
    keyring = RepositoryKeyring(Repository(path), clock)
    for _ in range(3):
        with pytest.raises(SealingUnavailable) as refused:
            keyring.wrap(b"k" * 32, ABOUT)
        assert "factstore rotate-keys" in refused.value.detail
        assert str(path) not in refused.value.detail, "a tenant learns nothing of the host"
        clock.advance(CHECK_SECONDS)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 1
    assert str(path) in said[0]
    make_keys(path)
    clock.advance(CHECK_SECONDS)
    assert keyring.wrap(b"k" * 32, ABOUT)


def test_keys_that_others_may_read_are_not_used_from_then_on(
    keys: Path, keyring: RepositoryKeyring, clock: ManualClock
) -> None:
    keyring.wrap(b"k" * 32, ABOUT)
    (keys / "1").chmod(0o644)
    clock.advance(CHECK_SECONDS)
    with pytest.raises(SealingUnavailable):
        keyring.wrap(b"k" * 32, ABOUT)
