"""Deleting all facts at and below a path: alone, and in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from factstore.core.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge, Unavailable
from factstore.core.model.fact import Delete, DeletePrefix, Put, Scope
from factstore.core.operations.batches import BATCH_BYTES, BATCH_OPERATIONS
from factstore.core.operations.idempotency import Idempotency
from factstore.core.services.folders import DeletedFolder
from tests.contract.membership import changes_by_event, changes_since, join, refusal
from tests.contract.world import Worker, World, author, events_since, soon

KEY = Idempotency("k" * 64, "f" * 64)


def fill(worker: Worker, scope: Scope, count: int, folder: str = "f") -> None:
    for start in range(0, count, BATCH_OPERATIONS):
        paths = [f"{folder}/{n:04}" for n in range(start, min(start + BATCH_OPERATIONS, count))]
        worker.batch(scope, paths)


def clear(worker: Worker, scope: Scope, path: str = "f", **options: object) -> DeletedFolder:
    return worker.services.folders.delete(scope, path, author(), **options)  # type: ignore[arg-type]


def batch(
    worker: Worker, scope: Scope, *requests: Put | Delete | DeletePrefix
) -> Sequence[tuple[str, int | None]]:
    written = worker.facts.batch(scope, requests, [], author())
    return [(result.outcome, result.deleted) for result in written.results]


def test_a_small_folder_is_deleted_in_one_revision_and_nothing_beside_it(
    worker: Worker, scope: Scope
) -> None:
    worker.batch(scope, ["n1/a", "n1/b/c", "n10/a", "n1-x", "n"])
    head = worker.store.refresh(soon()).revision
    done = clear(worker, scope, "n1")
    assert (done.deleted, done.revisions) == (2, 1)
    assert worker.paths(scope) == ["n", "n1-x", "n10/a"]
    assert changes_by_event(worker, scope, head) == [["fact.delete n1/a", "fact.delete n1/b/c"]]
    assert clear(worker, scope, "n").deleted == 1, "a fact at the path itself"
    with pytest.raises(NotFound):
        clear(worker, scope, "n1")
    with pytest.raises(NotFound):
        clear(worker, Scope(scope.project_id, "missing"))


def test_a_large_folder_is_deleted_in_pieces_by_one_request(worker: Worker, scope: Scope) -> None:
    fill(worker, scope, 2 * BATCH_OPERATIONS + 1)
    head = worker.store.refresh(soon()).revision
    done = clear(worker, scope)
    assert (done.deleted, done.revisions) == (2 * BATCH_OPERATIONS + 1, 3)
    assert worker.paths(scope) == []
    events = changes_since(worker, scope, head)
    assert [len(changes) for changes in events] == [BATCH_OPERATIONS, BATCH_OPERATIONS, 1]
    assert len({(c.type, c.by, c.request_id) for changes in events for c in changes}) == 1


def test_a_piece_is_bounded_by_the_size_of_its_facts(worker: Worker, scope: Scope) -> None:
    size = 60_000
    count = BATCH_BYTES // size + 1
    for n in range(count):
        worker.put(scope, f"f/{n}", "x" * size)
    assert clear(worker, scope).revisions == 2


def test_a_folder_is_replaced_by_a_batch(worker: Worker, scope: Scope) -> None:
    worker.batch(scope, ["f/a", "f/b", "f/c"])
    head = worker.store.refresh(soon()).revision
    requests = (Put.of("f/b", 2), DeletePrefix("f"), Put.of("f/d", 1), DeletePrefix("empty"))
    assert batch(worker, scope, *requests) == [
        ("updated", None),
        ("deleted", 2),
        ("created", None),
        ("absent", 0),
    ]
    assert worker.paths(scope) == ["f/b", "f/d"]
    assert len(changes_by_event(worker, scope, head)) == 1
    assert batch(worker, scope, DeletePrefix("f"), Put.of("f", 1))[0] == ("deleted", 2)
    assert worker.paths(scope) == ["f"]


def test_a_batch_takes_no_more_facts_than_one_revision_can_delete(
    worker: Worker, scope: Scope
) -> None:
    fill(worker, scope, BATCH_OPERATIONS)
    head = worker.store.refresh(soon()).revision
    with pytest.raises(TooLarge, match="recursive=true"):
        batch(worker, scope, DeletePrefix("f"))
    assert worker.store.refresh(soon()).revision == head
    worker.delete(scope, "f/0000")
    assert batch(worker, scope, DeletePrefix("f")) == [("deleted", BATCH_OPERATIONS - 1)]


def test_a_prefix_below_another_one_is_refused(worker: Worker, scope: Scope) -> None:
    for prefixes in (("f", "f"), ("f/a", "x", "f"), ("f", "f-x", "f/a/b")):
        with pytest.raises(Invalid) as refused:
            batch(worker, scope, *[DeletePrefix(prefix) for prefix in prefixes])
        assert refusal(refused) == "batch_duplicate_path"


def test_a_repeated_batch_gets_the_number_of_facts_again(worker: Worker, scope: Scope) -> None:
    worker.batch(scope, ["f/a", "f/b"])
    first = worker.facts.batch(scope, [DeletePrefix("f")], [], author(), KEY)
    worker.put(scope, "f/new")
    assert worker.facts.batch(scope, [DeletePrefix("f")], [], author(), KEY) == first
    assert (first.results[0].deleted, worker.paths(scope)) == (2, ["f/new"])


def test_parameters_are_protected_before_anything_is_deleted(worker: Worker, scope: Scope) -> None:
    fill(worker, scope, BATCH_OPERATIONS + 1)
    worker.put(scope, "f/z", kind="parameter")
    by = replace(author(), may_set_parameters=False)
    with pytest.raises(Forbidden) as refused:
        worker.services.folders.delete(scope, "f", by)
    assert refusal(refused) == "parameter_protected"
    assert len(worker.paths(scope)) == BATCH_OPERATIONS + 2
    assert clear(worker, scope).deleted == BATCH_OPERATIONS + 2


def test_a_fact_at_the_path_itself_may_be_left_out(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "f")
    with pytest.raises(NotFound):
        clear(worker, scope, itself=False)
    assert worker.paths(scope) == ["f"]


def test_a_replaced_member_deletes_nothing(worker: Worker, scope: Scope) -> None:
    generation = join(worker, scope).member.generation
    fill(worker, scope, 3)
    join(worker, scope)
    with pytest.raises(Conflict) as refused:
        clear(worker, scope, fences=[generation])
    assert refusal(refused) == "generation_stale"
    assert len(worker.paths(scope)) == 3


def test_the_folder_is_empty_at_the_revision_although_others_write(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    worker.put(scope, "seed")
    head = worker.store.refresh(soon()).revision
    fill(worker, scope, 5)
    writing = threads.submit(lambda: [other.put(scope, f"f/new-{n}") for n in range(40)])
    done = clear(worker, scope)
    writing.result(60)
    stored: set[str] = set()
    for revision, changes in events_since(worker, scope, head):
        if revision <= done.cursor.revision:
            for change in changes:
                kind, path = change.split()
                (stored.add if kind == "fact.put" else stored.discard)(path)
    assert stored == set()


def test_an_error_between_two_pieces_counts_what_was_deleted(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(worker, scope, BATCH_OPERATIONS + 1)
    write, calls = worker.facts.write, []

    def fails_later(*args: object, **options: object) -> object:
        calls.append(args)
        if len(calls) > 1:
            raise Unavailable("The store cannot be reached.")
        return write(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.facts, "write", fails_later)
    with pytest.raises(Unavailable) as failed:
        clear(worker, scope)
    assert "the request deleted 100 facts" in failed.value.detail
    assert failed.value.extra == {"deleted": BATCH_OPERATIONS}
    assert len(worker.paths(scope)) == 1
