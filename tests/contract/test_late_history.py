"""Workers that are ready before they have read the history, on every backend."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import CursorExpired, FactstoreError, Unavailable
from factstore.core.model.event import Event
from factstore.core.model.fact import Scope
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection
from factstore.core.services.context_view import ContextView
from factstore.core.services.watch_filter import Filter
from factstore.watch import history_fill
from tests.contract.membership import join
from tests.contract.test_past import make_change
from tests.contract.waiting import arm
from tests.contract.world import PROJECT, Worker, World, author, note_followed, soon
from tests.eventually import eventually

ALL = Filter()


@pytest.fixture
def writer(world: World, scope: Scope) -> Worker:
    """A worker that has made a history with each kind of change."""
    made, chosen = world.worker(), random.Random(5)
    for _ in range(20):
        with contextlib.suppress(FactstoreError):  # there is nothing to delete, for example
            make_change(made, scope, chosen)
    join(made, scope, "lost")
    made.put(scope, "nodes/lost/ip", member="lost")
    join(made, scope, "returned")
    join(made, scope, "departed")
    for name in ("lost", "returned"):
        made.backend.revoke_lease(made.members.get(scope, name).lease, soon())
    made.members.depart(scope, "departed", "scaled in", None, author())
    join(made, scope, "returned")
    other = Scope(scope.project_id, f"{scope.stack}-2")
    for _ in range(2):  # a stack that has its name from another one
        made.put(other, "p")
        made.stacks.delete(other, author())
    arm(made, scope, "done", {"facts": "ready", "present": True})
    made.put(scope, "ready")
    eventually(lambda: made.waiters.get(scope, "done").waiter.state == "met")
    eventually(lambda: not made.store.needs_write)
    return made


@pytest.fixture
def late(world: World, writer: Worker) -> Iterator[Worker]:
    """A worker that is ready, and has not begun to read the history."""
    head = writer.store.refresh(soon()).revision
    eventually(lambda: writer.hub.cursor.revision >= head)
    note_followed(writer)
    made = Worker(world.backend()).start(fill=False)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(autouse=True)
def no_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only the tests decide when the history is read."""
    monkeypatch.setattr(history_fill, "READY_SECONDS", 60.0)


def all_events(worker: Worker, of: Scope | StackSelection, after: int) -> list[Event]:
    return list(worker.hub.read(of, worker.cursor(after), events=10_000, size=10**9).events)


def test_the_events_are_those_of_a_worker_that_reads_the_history_first(
    world: World, writer: Worker, late: Worker, scope: Scope
) -> None:
    first = world.worker(late=False)
    late.put(scope, "new")
    head = late.store.refresh(soon()).revision
    eventually(lambda: min(first.hub.cursor.revision, late.hub.cursor.revision) >= head)
    late.pump.fill_history()
    every = StackSelection(PROJECT, StackPatterns.of([f"{scope.stack}*"]))
    epoch = first.store.state().epoch
    # A window ends at the newest revision, and workers write revisions of their own between the starts.
    floors = {worker: worker.hub.floor(scope, epoch) for worker in (late, first)}
    oldest = max(floors.values())
    assert len(all_events(late, scope, oldest)) > 15
    for of in (scope, Scope(PROJECT, f"{scope.stack}-2"), every):
        for after in range(oldest, head + 1):
            assert all_events(late, of, after) == all_events(first, of, after)
    for worker, floor in floors.items():
        with pytest.raises(CursorExpired):
            all_events(worker, scope, floor - 1)
    states = [worker.store.state().stack_state(scope) for worker in (late, first)]
    known = [
        (state.changed, {name: state.ended_members.get(name) for name in ("lost", "returned")})
        for state in states
        if state is not None
    ]
    assert known[0] == known[1]
    assert known[0][1] == {"lost": "expired", "returned": None}


def test_a_worker_serves_before_it_has_read_the_history_and_readers_of_the_past_wait(
    writer: Worker, late: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    past = writer.cursor(writer.stacks.get(scope).stack.created)
    present = late.cursor(late.store.refresh(soon()).revision)
    at_once = late.waiting(threads, late.watch.poll, scope, present, 60, ALL)
    waiting = late.waiting(threads, late.watch.poll, scope, past, 0, ALL)
    changed = threads.submit(late.services.past.differences, scope, past, present)
    recent = threads.submit(late.history.changes, scope, "ready", 10)
    late.put(scope, "ready", 2)
    assert [each.changes[0].path for each in at_once.result(60).events] == ["ready"]
    assert late.value(scope, "ready") == "2"
    assert not any(each.done() for each in (waiting, changed, recent))
    late.pump.fill_history()
    assert waiting.result(60) == writer.watch.poll(scope, past, 0, ALL)
    assert changed.result(60) == writer.services.past.differences(scope, past, present)
    assert len(recent.result(60).changes) == 2


def test_a_copy_of_a_context_that_has_not_changed_is_not_answered_early(
    writer: Worker, late: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    state = writer.store.refresh(soon())
    space = state.stack_state(scope)
    assert space is not None
    since = writer.cursor(space.changed)
    for n in range(3):  # elsewhere, so that the snapshot is newer than the copy
        writer.put(Scope(PROJECT, f"{scope.stack}-3"), f"p{n}")
    view = ContextView()
    reading = late.waiting(threads, late.context.since, scope, since, view, wait=60)
    late.pump.fill_history()
    eventually(lambda: not late.pump._fill.alive)  # type: ignore[attr-defined]
    assert not reading.done()
    late.put(scope, "news")
    assert '"news"' in "".join(reading.result(60).texts)


def test_readers_of_a_past_that_cannot_be_read_get_the_error_of_a_lost_history(
    writer: Worker, late: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    past = writer.cursor(writer.stacks.get(scope).stack.created)
    waiting = late.waiting(threads, late.watch.poll, scope, past, 0, ALL)
    late.backend.compact(late.store.state().revision, soon())
    late.pump.fill_history()
    with pytest.raises(CursorExpired):
        waiting.result(60)
    late.put(scope, "more")
    assert late.value(scope, "more") == "1"


def test_readers_of_the_past_do_not_wait_for_a_worker_that_stops(
    writer: Worker, late: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    past = writer.cursor(writer.stacks.get(scope).stack.created)
    waiting = late.waiting(threads, late.watch.poll, scope, past, 0, ALL)
    late.hub.close()
    with pytest.raises(Unavailable):
        waiting.result(60)


def test_an_outcome_that_is_not_stored_yet_is_found_by_the_next_worker(
    world: World, scope: Scope
) -> None:
    first = world.worker()
    arm(first, scope, "passed", {"facts": "y", "equals": "go"})
    first.put(scope, "other")
    eventually(lambda: first.hub.cursor.revision >= first.store.refresh(soon()).revision)
    note_followed(first)
    first.waiter_controller.stop()
    for value in ("go", "past"):
        first.put(scope, "y", value)
    eventually(lambda: first.store.needs_write)
    note_followed(first)  # which it must not do
    second = world.worker()
    eventually(lambda: second.waiters.get(scope, "passed").waiter.state == "met")
