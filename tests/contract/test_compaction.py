"""Taking turns at compacting a real etcd."""

from __future__ import annotations

import time

import pytest

from factstore.core.errors import CursorExpired
from factstore.core.model.cursor import Cursor
from factstore.core.ports import Backend
from factstore.store.maintenance import Maintenance
from tests.contract.world import (
    EtcdWorld,
    make_stack,
    new_fact,
    new_scope,
    put_all,
    soon,
)


class Reading:
    """A store that is never behind."""

    def is_behind(self, deadline: float) -> bool:
        return False

    def catch_up(self, deadline: float) -> None:
        raise AssertionError("there is nothing to catch up with")

    @property
    def notes_lost_history(self) -> bool:
        return False

    @property
    def needs_write(self) -> bool:
        return False


class Ahead:
    """The real clock, moved ahead by the test; calls to etcd get real deadlines."""

    def __init__(self) -> None:
        self._offset = 0.0

    def advance(self, seconds: float) -> None:
        self._offset += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._offset

    def timestamp(self) -> str:
        return "2026-01-01T00:00:00.000000Z"


def expired(backend: Backend, revision: int, stack: object) -> bool:
    try:
        backend.facts_at(stack, "", "", 1, revision, soon())  # type: ignore[arg-type]
    except CursorExpired:
        return True
    return False


def test_a_read_finds_out_whether_a_revision_is_compacted(etcd_world: EtcdWorld) -> None:
    backend = etcd_world.opened_backend()
    stack = make_stack(backend, new_scope())
    revisions = [put_all(backend, stack, new_fact(f"f{n}")) for n in range(3)]
    backend.compact(revisions[1], soon())
    assert etcd_world.raw.compacted_revision(etcd_world.keys.epoch) == revisions[1]
    for key in (etcd_world.keys.epoch, b"absent"):
        found = [etcd_world.raw.is_compacted(key, each, soon()) for each in (1, *revisions)]
        assert found == [True, True, False, False]


def test_one_worker_takes_a_turn_and_the_others_see_it(etcd_world: EtcdWorld) -> None:
    first, second = etcd_world.opened_backend(), etcd_world.opened_backend()
    mine, version, noted = first.try_compaction_turn(0, soon())
    assert (mine, version, noted) == (True, 1, 0)
    mine, seen, noted = second.try_compaction_turn(0, soon())
    assert (mine, seen) == (False, 1)
    assert noted > 0
    assert second.try_compaction_turn(seen, soon())[0]
    assert not first.try_compaction_turn(version, soon())[0]


def test_history_older_than_two_windows_is_compacted_and_newer_history_is_kept(
    etcd_world: EtcdWorld,
) -> None:
    backend = etcd_world.opened_backend()
    stack, epoch = make_stack(backend, new_scope()), backend.open().epoch
    clock = Ahead()
    maintenance = Maintenance(
        Reading(),
        backend,
        clock,
        window=600,
        published=lambda: Cursor(epoch, backend.head(soon())),
        period=3600,
    )
    maintenance.start()
    try:
        revisions = []
        for n in range(3):
            revisions.append(put_all(backend, stack, new_fact(f"f{n}")))
            clock.advance(600)
            maintenance.round()
        oldest, before, last = revisions
        assert expired(backend, oldest, stack)
        assert not expired(backend, before + 1, stack)
        assert not expired(backend, last, stack)
        assert [f.path for f in backend.facts_at(stack, "", "", 9, last, soon())] == [
            "f0",
            "f1",
            "f2",
        ]
    finally:
        maintenance.stop()


@pytest.mark.parametrize("reached", [0, 1])
def test_history_that_local_readers_have_not_received_is_not_compacted(
    etcd_world: EtcdWorld, reached: int
) -> None:
    backend = etcd_world.opened_backend()
    stack = make_stack(backend, new_scope())
    revision, epoch = put_all(backend, stack, new_fact("f")), backend.open().epoch
    clock = Ahead()
    maintenance = Maintenance(
        Reading(),
        backend,
        clock,
        window=600,
        published=lambda: Cursor(epoch, reached and revision),
        period=3600,
    )
    for _ in range(3):
        maintenance.compact_in_turn(clock.monotonic() + 10)
    assert not expired(backend, revision, stack)


def test_only_one_of_two_workers_gets_a_turn_that_both_take(
    etcd_world: EtcdWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = etcd_world.opened_backend(), etcd_world.opened_backend()
    look = second._client.get

    def read_while_the_other_writes(*args: object, **more: object) -> object:
        found = look(*args, **more)  # type: ignore[arg-type]
        assert first.try_compaction_turn(0, soon())[0]
        return found

    monkeypatch.setattr(second._client, "get", read_while_the_other_writes)
    assert not second.try_compaction_turn(0, soon())[0]
