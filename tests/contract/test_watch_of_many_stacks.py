"""The watch over many stacks, on every backend; test_watch and test_streams prove the rest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from factstore.core.errors import NotFound
from factstore.core.model.fact import Scope
from factstore.core.model.stack_patterns import StackPatterns
from factstore.core.model.stack_selection import StackSelection
from factstore.core.services.watch_filter import Filter
from factstore.core.services.watch_frames import BookmarkFrame, ChangeFrame, SnapshotFrame
from tests.contract.world import Worker, World, author, new_scope

ALL = Filter(many=True)


def named(scope: Scope, name: str) -> Scope:
    return Scope(scope.project_id, f"{scope.stack}-{name}")


def test_the_events_of_stacks_that_come_and_go_arrive_in_one_order_on_every_worker(
    world: World, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    workers = [world.worker(), world.worker()]
    selection = StackSelection(scope.project_id, StackPatterns.of([f"{scope.stack}-?"]))
    start = workers[0].cursor(workers[0].put(named(scope, "other"), "x").revision)

    def write(worker: Worker, name: str) -> list[tuple[int, str]]:
        own = named(scope, name)
        done = []
        for n in range(12):
            if n % 5 == 4:
                worker.stacks.delete(own, author())
            done.append((worker.put(own, "a", n).revision, own.stack))
            worker.put(named(scope, "other"), name, n)
        return done

    writing = [threads.submit(write, workers[n % 2], name) for n, name in enumerate("abcd")]
    written = sorted({each for done in writing for each in done.result(60)})
    last = written[-1][0]
    orders = []
    for worker in workers:
        found: list[tuple[int, str, str]] = []
        for frame in worker.watch.stream(selection, start, False, ALL, False):
            if not isinstance(frame, ChangeFrame):
                continue
            found += [
                (event.revision, event.scope.stack, change.type)
                for event in frame.events
                for change in event.changes
            ]
            if frame.cursor.revision >= last:
                break
        puts = [(at, stack) for at, stack, kind in found if kind == "fact.put"]
        assert sorted(set(puts)) == written
        assert sum(kind == "stack.delete" for *_, kind in found) == 8
        orders.append(found)
    assert orders[0] == orders[1]
    assert [at for at, *_ in orders[0]] == sorted(at for at, *_ in orders[0])


def test_a_snapshot_names_each_stack_and_has_its_contents_at_one_revision(
    world: World, worker: Worker, scope: Scope
) -> None:
    for name in ("b", "a"):
        worker.put(named(scope, name), "nodes/x", name)
        worker.put(named(scope, name), "y", name)
    worker.stacks.put(named(scope, "empty"), "", author())
    elsewhere = new_scope()._replace(project_id=f"{scope.project_id[:-1]}x", stack=scope.stack)
    worker.put(elsewhere, "z")

    def snapshot(project_id: str | None, wanted: Filter = ALL) -> list[tuple[Scope, list[str]]]:
        patterns = StackPatterns.of([f"{scope.stack}*"])
        frames = world.worker().watch.stream(
            StackSelection(project_id, patterns), None, True, wanted, True
        )
        found = []
        for frame in frames:
            if isinstance(frame, BookmarkFrame):
                return found
            assert isinstance(frame, SnapshotFrame)
            found.append((frame.scope, [fact.path for fact in frame.facts]))
        raise AssertionError("the snapshot has no end")

    own = [(named(scope, name), ["nodes/x", "y"]) for name in ("a", "b")]
    own.append((named(scope, "empty"), []))
    assert snapshot(scope.project_id) == own
    assert snapshot(None) == sorted([*own, (elsewhere, ["z"])])
    folder = Filter(("nodes", "none"), many=True)
    assert snapshot(scope.project_id, folder) == [(each, paths[:1]) for each, paths in own]
    try:
        worker.watch.poll(named(scope, "new"), None, 0, Filter())
    except NotFound:
        nothing = StackSelection(scope.project_id, StackPatterns.of(["none"]))
        assert worker.watch.poll(nothing, None, 0, ALL).events == ()
