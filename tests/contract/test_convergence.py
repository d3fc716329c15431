"""Heartbeats, applied revisions and lagging members, on every backend."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import Conflict, CursorExpired, NotFound, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from tests.contract.membership import changes_by_event, join
from tests.contract.world import Worker, World, author, soon

# Heartbeats and applied revisions


def test_a_heartbeat_makes_no_revision_and_wakes_no_reader(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    first = join(worker, scope)
    head = worker.backend.head(soon())
    reading = worker.waiting(
        threads, worker.context.get, scope, wait=100, unless={worker.context.get(scope).etag}
    )
    for _ in range(10):
        worker.members.heartbeat(scope, "c1", first.member.generation, None)
        worker.members.heartbeat(scope, "c1", None, None)
    assert worker.backend.head(soon()) == head
    assert not reading.done()
    worker.put(scope, "p")
    reading.result(60)


def applied(worker: Worker, scope: Scope, name: str = "c1") -> int | None:
    worker.store.refresh(soon())
    (found,) = [f for f in worker.convergence.get(scope).members if f.member.name == name]
    return found.applied.revision if found.applied else None


def test_the_applied_revision_of_a_lagging_member_is_stored_without_an_event(
    world: World, worker: Worker, scope: Scope
) -> None:
    first = join(worker, scope)
    target = worker.put(scope, "p", 1).revision
    assert applied(worker, scope) is None
    worker.members.heartbeat(scope, "c1", None, first.cursor)
    assert applied(worker, scope) == first.cursor.revision
    worker.members.heartbeat(scope, "c1", None, worker.cursor(target))
    assert applied(worker, scope) == target
    head = worker.backend.head(soon())
    worker.members.heartbeat(scope, "c1", None, worker.cursor(target))
    # Nothing has changed since.
    worker.members.heartbeat(scope, "c1", None, worker.cursor(head))
    assert worker.backend.head(soon()) == head
    assert applied(world.worker(), scope) == target
    assert changes_by_event(worker, scope, target) == []
    assert worker.members.get(scope, "c1") == first.member
    assert worker.stacks.get(scope).usage.facts == 2


def test_the_applied_revision_never_decreases(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope)
    target = worker.put(scope, "p", 1).revision
    worker.members.heartbeat(scope, "c1", None, worker.cursor(target))
    worker.put(scope, "p", 2)
    head = worker.backend.head(soon())
    worker.members.heartbeat(scope, "c1", None, first.cursor)
    assert applied(worker, scope) == target
    assert worker.backend.head(soon()) == head


def test_a_new_incarnation_has_applied_nothing(worker: Worker, scope: Scope) -> None:
    first = join(worker, scope)
    worker.members.heartbeat(scope, "c1", None, first.cursor)
    assert applied(worker, scope) == first.cursor.revision
    join(worker, scope)
    assert applied(worker, scope) is None


def test_a_stack_has_not_converged_before_the_old_incarnation_ended(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    def revoke(lease: int, deadline: float) -> None:
        raise Unavailable("not now")

    first = join(worker, scope)
    worker.members.heartbeat(scope, "c1", None, first.cursor)
    monkeypatch.setattr(worker.store, "revoke_lease", revoke)
    join(worker, scope)
    assert applied(worker, scope) is None


def test_the_greater_applied_revision_of_two_concurrent_heartbeats_counts(
    world: World, worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = join(worker, scope)
    target = worker.put(scope, "p", 1).revision
    other, real, done = world.worker(), worker.store.commit, []

    def commit(*args: object) -> object:
        if not done:
            done.append(target)
            other.members.heartbeat(scope, "c1", None, worker.cursor(target))
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.store, "commit", commit)
    worker.members.heartbeat(scope, "c1", None, first.cursor)
    assert done
    assert applied(worker, scope) == applied(other, scope) == target


def test_a_cursor_of_another_epoch_or_ahead_of_the_store_keeps_the_member_alive_but_is_refused(
    worker: Worker, scope: Scope
) -> None:
    first = join(worker, scope)
    epoch, head = worker.cursor(worker.backend.head(soon()))
    for cursor in (Cursor("0" * 16, first.cursor.revision), Cursor(epoch, head + 1000)):
        with pytest.raises(CursorExpired):
            worker.members.heartbeat(scope, "c1", None, cursor)
    assert applied(worker, scope) is None


def test_reports_are_recorded_soon_together(
    world: World, worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"c{n}" for n in range(70)]
    for name in names:
        last = join(worker, scope, name)
    reports = worker.services.applied_reports
    with monkeypatch.context() as held:
        held.setattr(reports, "_wanted", threading.Event())  # the thread does not run meanwhile
        for name in names:
            worker.members.report(scope, name, None, last.cursor)
        before = worker.backend.head(soon())
        reports.run_once()
        writes = worker.backend.head(soon()) - before
    assert 3 <= writes < 10  # a few revisions may be those of refreshed reads
    other = world.worker()
    other.store.refresh(soon())
    assert other.convergence.get(scope).reached
    late = worker.put(scope, "p", 1).revision
    for name in names:
        worker.members.report(scope, name, None, worker.cursor(late))
    assert worker.convergence.get(scope, wait=100).reached


def test_reports_of_other_incarnations_and_cursors_of_other_stores_are_not_recorded(
    worker: Worker, scope: Scope
) -> None:
    old = join(worker, scope)
    new = join(worker, scope)
    epoch, head = worker.cursor(worker.backend.head(soon()))
    with pytest.raises(Conflict):
        worker.members.report(scope, "c1", old.member.generation, Cursor(epoch, head))
    with pytest.raises(NotFound):
        worker.members.report(scope, "c2", None, Cursor(epoch, head))
    reports = worker.services.applied_reports
    generation = new.member.generation
    worker.members.report(scope, "c1", generation, Cursor("0" * 16, head))
    worker.members.report(scope, "c1", generation, Cursor(epoch, head + 1000))
    reports.run_once()
    assert applied(worker, scope) is None
    reports.add(scope, old.member, Cursor(epoch, head), soon())
    reports.run_once()
    assert applied(worker, scope) is None
    worker.members.report(scope, "c1", generation, Cursor(epoch, head))
    assert worker.convergence.get(scope, wait=100).reached


def test_reports_are_kept_while_the_store_does_not_answer(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = join(worker, scope)
    later = worker.put(scope, "p", 1).revision
    reports = worker.services.applied_reports
    reports.stop()
    real, cursor = worker.store.commit, worker.cursor
    failed: list[object] = []

    def fail(*args: object) -> int:
        failed.append(args)
        worker.members.report(scope, "c1", None, cursor(later))  # a newer report wins
        raise Unavailable("the store does not answer.")

    monkeypatch.setattr(worker.store, "commit", fail)
    worker.members.report(scope, "c1", None, cursor(first.cursor.revision))
    with pytest.raises(Unavailable):
        reports.run_once()
    assert failed
    monkeypatch.setattr(worker.store, "commit", real)
    reports.run_once()
    assert applied(worker, scope) == later


# Convergence


def test_a_stack_has_converged_when_every_member_applied_its_revision(
    worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "p", 1)
    assert not worker.convergence.get(scope).reached  # the stack has no members
    join(worker, scope, "c1")
    joined = join(worker, scope, "h1", "head")
    target = joined.cursor
    for name in ("c1", "h1"):
        found = worker.convergence.get(scope)
        assert found.target == target
        assert not found.reached
        worker.members.heartbeat(scope, name, None, target)
    assert worker.convergence.get(scope).reached
    worker.put(scope, "results/c1/install", "done")
    assert worker.convergence.get(scope).target == target
    worker.delete(scope, "p")
    found = worker.convergence.get(scope)
    assert found.target.revision > target.revision
    assert [f.member.name for f in found.members if f.lags] == ["c1", "h1"]
    worker.members.heartbeat(scope, "h1", None, found.target)
    assert worker.convergence.get(scope, group="head").reached
    assert not worker.convergence.get(scope, group="nobody").reached


def test_a_reader_waits_until_the_stack_has_converged(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    join(worker, scope, "c1")
    joined = join(worker, scope, "c2")
    other = world.worker()
    waiting = threads.submit(worker.convergence.get, scope, wait=100)
    for each, name in ((worker, "c1"), (other, "c2")):
        assert not waiting.done()
        each.members.heartbeat(scope, name, None, joined.cursor)
    assert waiting.result(60).reached


def test_a_departed_member_does_not_lag(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    join(worker, scope, "c1")
    join(worker, scope, "c2")
    waiting = threads.submit(worker.convergence.get, scope, wait=100)
    worker.members.depart(scope, "c2", "left", None, author())
    target = worker.convergence.get(scope).target
    worker.members.heartbeat(scope, "c1", None, target)
    found = waiting.result(60)
    assert found.reached
    assert [f.member.name for f in found.members] == ["c1"]


def test_a_draining_member_does_not_hold_the_stack_back(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    join(worker, scope, "c1")
    join(worker, scope, "c2")
    other = world.worker()
    waiting = threads.submit(other.convergence.get, scope, wait=100)
    worker.members.set_state(scope, "c2", "draining", None, author())
    target = worker.convergence.get(scope).target
    worker.members.heartbeat(scope, "c1", None, target)
    found = waiting.result(60)
    assert found.reached
    assert [f.member.name for f in found.members] == ["c1"]
    every = other.convergence.get(scope, include_draining=True)
    assert [f.member.name for f in every.members if f.lags] == ["c2"]
    assert not every.reached
