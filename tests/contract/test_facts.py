"""The facts service, on every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from factstore.core.errors import NotFound, PreconditionFailed
from factstore.core.model.fact import Delete, Put, Scope
from factstore.core.model.precondition import ABSENT, EXISTS
from factstore.core.services.views import FactView
from factstore.core.services.watch_filter import Filter
from tests.contract.world import RENEWAL_SECONDS, Worker, World, author, events_since, soon, tagged

# No-op suppression


def test_an_equal_write_sends_no_transaction_and_makes_no_event(
    worker: Worker, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = worker.put(scope, "p", {"b": 1, "a": [1.0, True]})
    sent: list[object] = []
    monkeypatch.setattr(worker.backend, "commit", lambda *arguments: sent.append(arguments))
    again = worker.put(scope, "p", {"a": [1.0, True], "b": 1})
    assert again.results[0].outcome == "unchanged"
    assert again.results[0].fact == first.results[0].fact
    assert sent == []
    assert events_since(worker, scope, first.revision) == []


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), (True, "true"), (None, False)])
def test_a_value_of_another_type_is_a_change(
    worker: Worker, scope: Scope, before: object, after: object
) -> None:
    first = worker.put(scope, "p", before)
    second = worker.put(scope, "p", after)
    assert second.results[0].outcome == "updated"
    assert events_since(worker, scope, first.revision) == [(second.revision, ["fact.put p"])]


def test_an_equal_batch_makes_no_revision_and_a_partly_equal_one_changes_the_rest(
    worker: Worker, scope: Scope
) -> None:
    requests = [Put.of(f"p{n}", n) for n in range(3)]
    first = worker.facts.batch(scope, requests, [], author())
    head = worker.backend.head(soon())
    again = worker.facts.batch(scope, requests, [], author())
    assert [r.outcome for r in again.results] == ["unchanged"] * 3
    assert worker.backend.head(soon()) == head
    third = worker.facts.batch(scope, [*requests[:2], Put.of("p2", "new")], [], author())
    assert [r.outcome for r in third.results] == ["unchanged", "unchanged", "updated"]
    assert events_since(worker, scope, first.revision) == [(third.revision, ["fact.put p2"])]


def test_deleting_nothing_makes_no_revision(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "p")
    head = worker.backend.head(soon())
    with pytest.raises(NotFound):
        worker.delete(scope, "gone")
    written = worker.facts.batch(scope, [Delete("gone")], [], author())
    assert [r.outcome for r in written.results] == ["absent"]
    assert worker.backend.head(soon()) == head


# Reading and waiting


def test_a_written_fact_is_read_with_all_its_fields(worker: Worker, scope: Scope) -> None:
    written = worker.put(scope, "a/b", "v", kind="parameter", ttl=3600, by=author("bob"))
    fact = worker.facts.get(scope, "a/b").fact
    assert written.results[0].outcome == "created"
    assert fact == written.results[0].fact
    assert (fact.text, fact.kind, fact.ttl, fact.version) == ('"v"', "parameter", 3600, 1)
    assert fact.updated_by == "bob"
    assert fact.revision == written.revision
    assert fact.created_at == fact.updated_at
    again = worker.put(scope, "a/b", "w", kind="parameter", ttl=3600)
    now = worker.facts.get(scope, "a/b").fact
    assert (now.version, now.created_at, now.revision) == (2, fact.created_at, again.revision)


def test_a_reader_waits_for_a_fact_that_is_missing(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    worker.put(scope, "other")
    waiting = worker.waiting(threads, worker.facts.get, scope, "p", wait=100)
    worker.put(scope, "another")
    worker.put(scope, "p", "here")
    assert waiting.result(60).fact.text == '"here"'


def test_a_reader_waits_for_a_fact_in_a_stack_that_is_missing(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    waiting = worker.waiting(threads, worker.facts.get, scope, "p", wait=100)
    worker.stacks.put(scope, "", author())
    worker.put(scope, "p", "here")
    assert waiting.result(60).fact.text == '"here"'


def test_a_reader_waits_on_one_worker_for_a_write_through_another(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    waiting = worker.waiting(threads, worker.facts.get, scope, "p", wait=100)
    world.worker().put(scope, "p", "here")
    assert waiting.result(60).fact.text == '"here"'


def test_a_reader_waits_until_a_fact_changes(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    known = worker.put(scope, "p", 1).revision

    def unless(found: FactView) -> bool:
        return found.fact.revision == known

    waiting = worker.waiting(threads, worker.facts.get, scope, "p", wait=100, unless=unless)
    worker.put(scope, "p", 1)
    worker.put(scope, "q", 1)
    changed = worker.put(scope, "p", 2).revision
    assert waiting.result(60).fact.revision == changed


@pytest.mark.parametrize("what", ["fact", "batch", "stack"])
def test_a_deletion_ends_a_wait_for_a_change(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor, what: str
) -> None:
    worker.put(scope, "p", 1)
    waiting = worker.waiting(
        threads, worker.facts.get, scope, "p", wait=100, unless=lambda fact: True
    )
    if what == "fact":
        worker.delete(scope, "p")
    elif what == "batch":
        worker.facts.batch(scope, [Delete("p"), Put.of("p/q", 1)], [], author())
    else:
        worker.stacks.delete(scope, author())
    with pytest.raises(NotFound):
        waiting.result(60)


def test_a_missing_fact_is_reported_at_once(worker: Worker, scope: Scope) -> None:
    with pytest.raises(NotFound):
        worker.facts.get(scope, "p")
    worker.put(scope, "p/q")
    with pytest.raises(NotFound):
        worker.facts.get(scope, "p")


# Preconditions


def test_only_one_of_concurrent_compare_and_sets_succeeds(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "p", 1)
    known = tagged(worker, scope, "p")
    won = worker.put(scope, "p", 2, known)
    with pytest.raises(PreconditionFailed) as lost:
        worker.put(scope, "p", 3, known)
    assert lost.value.extra["etag"] == str(worker.cursor(won.revision))
    with pytest.raises(PreconditionFailed):
        worker.delete(scope, "p", known)
    worker.delete(scope, "p", tagged(worker, scope, "p"))


def test_a_precondition_is_checked_even_if_nothing_would_change(
    worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "p", 1)
    known = tagged(worker, scope, "p")
    worker.put(scope, "p", 2)
    worker.put(scope, "p", 1)
    with pytest.raises(PreconditionFailed):
        worker.put(scope, "p", 1, known)
    with pytest.raises(PreconditionFailed):
        worker.put(scope, "p", 1, ABSENT)


def test_create_only_and_update_only(worker: Worker, scope: Scope) -> None:
    with pytest.raises(PreconditionFailed):
        worker.put(scope, "p", 1, EXISTS)
    worker.put(scope, "p", 1, ABSENT)
    with pytest.raises(PreconditionFailed):
        worker.put(scope, "p", 2, ABSENT)
    worker.put(scope, "p", 2, EXISTS)
    with pytest.raises(PreconditionFailed):
        worker.put(scope, "q", 1, EXISTS)


def test_a_refused_first_write_does_not_create_the_stack(worker: Worker, scope: Scope) -> None:
    with pytest.raises(PreconditionFailed):
        worker.put(scope, "p", 1, EXISTS)
    with pytest.raises(NotFound):
        worker.stacks.get(scope)


# Leases. The shortest TTL is five seconds, so a single test covers them all.


def test_facts_with_a_ttl_live_as_long_as_they_are_renewed_and_never_end_early(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    for path in ("renewed", "unbound", "changed", "left"):
        worker.put(scope, path, 1, ttl=5)
    worker.put(scope, "long", 1, ttl=3600)
    shown = worker.facts.get(scope, "renewed").fact.revision
    worker.put(scope, "unbound", 1)
    moved = worker.put(scope, "changed", 2, ttl=3600)
    assert moved.results[0].outcome == "updated"
    cursor = worker.cursor(worker.store.refresh(soon()).revision)
    expiring = threads.submit(worker.watch.poll, scope, cursor, 100, Filter())
    while wait([expiring], RENEWAL_SECONDS).not_done:
        assert worker.put(scope, "renewed", 1, ttl=5).results[0].outcome == "unchanged"
    (event,) = expiring.result(60).events
    assert [(c.type, c.path, c.by) for c in event.changes] == [("fact.expire", "left", None)]
    assert event.changes[0].previous is not None
    assert event.changes[0].previous.text == "1"
    assert worker.paths(scope) == ["changed", "long", "renewed", "unbound"]
    assert worker.facts.get(scope, "renewed").fact.revision == shown
    assert worker.facts.get(scope, "unbound").fact.ttl is None
    assert worker.put(scope, "left", 1, ttl=5).results[0].outcome == "created"


# Isolation


def test_stacks_of_two_projects_with_the_same_name_share_nothing(
    worker: Worker, scope: Scope
) -> None:
    others = Scope("0bad" * 8, scope.stack)
    mine = worker.put(scope, "p", "mine")
    worker.put(others, "p", "theirs")
    worker.put(others, "q", "theirs")
    assert worker.value(scope, "p") == '"mine"'
    assert worker.paths(scope) == ["p"]
    assert events_since(worker, scope, mine.revision) == []
    worker.stacks.delete(others, author())
    assert worker.paths(scope) == ["p"]
