"""Facts, as their service promises them over every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.cursor import Cursor
from factstore.core.errors import Conflict, CursorExpired, NotFound, PreconditionFailed
from factstore.core.fact import Delete, Put, Scope
from factstore.core.precondition import ABSENT, ANY, EXISTS, Precondition
from factstore.core.receipts import Idempotency
from factstore.core.watching import Filter
from tests.contract.world import Worker, World, author, soon


def tagged(worker: Worker, scope: Scope, path: str) -> Precondition:
    return Precondition(tags=frozenset({worker.facts.etag(worker.facts.get(scope, path))}))


def events_since(worker: Worker, scope: Scope, revision: int) -> list[tuple[int, list[str]]]:
    """What has happened in a stack: revisions, and what each changed."""
    since = worker.facts.cursor(revision)
    found = worker.watching.poll(scope, since, 0, Filter())
    # An event may still be on its way to the hub; this one of our own comes after it.
    while not found.next.revision >= worker.store.refresh(soon()).revision:
        found = worker.watching.poll(scope, since, 0, Filter())
    return [(e.revision, [f"{c.type} {c.path}" for c in e.changes]) for e in found.events]


# No-op suppression


def test_an_equal_write_makes_no_revision_and_no_event(worker: Worker, scope: Scope) -> None:
    first = worker.put(scope, "p", {"b": 1, "a": [1.0, True]})
    head = worker.backend.head(soon())
    again = worker.put(scope, "p", {"a": [1.0, True], "b": 1})
    assert again.results[0].outcome == "unchanged"
    assert again.results[0].fact == first.results[0].fact
    assert worker.backend.head(soon()) == head
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
    wishes = [Put.of(f"p{n}", n) for n in range(3)]
    first = worker.facts.batch(scope, wishes, [], author())
    head = worker.backend.head(soon())
    again = worker.facts.batch(scope, wishes, [], author())
    assert [r.outcome for r in again.results] == ["unchanged"] * 3
    assert worker.backend.head(soon()) == head
    third = worker.facts.batch(scope, [*wishes[:2], Put.of("p2", "new")], [], author())
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


def test_what_was_written_is_read_with_all_that_is_known_of_it(
    worker: Worker, scope: Scope
) -> None:
    written = worker.put(scope, "a/b", "v", kind="parameter", ttl=3600, by=author("bob"))
    fact = worker.facts.get(scope, "a/b")
    assert written.results[0].outcome == "created"
    assert fact == written.results[0].fact
    assert (fact.text, fact.kind, fact.ttl, fact.version) == ('"v"', "parameter", 3600, 1)
    assert fact.updated_by == "bob"
    assert fact.revision == written.revision
    assert fact.created_at == fact.updated_at
    again = worker.put(scope, "a/b", "w", kind="parameter", ttl=3600)
    now = worker.facts.get(scope, "a/b")
    assert (now.version, now.created_at, now.revision) == (2, fact.created_at, again.revision)


def test_a_reader_waits_for_a_fact_that_is_missing(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    worker.put(scope, "other")
    waiting = worker.waiting(threads, worker.facts.get, scope, "p", wait=30)
    worker.put(scope, "another")
    worker.put(scope, "p", "here")
    assert waiting.result(10).text == '"here"'


def test_a_reader_waits_for_a_fact_in_a_stack_that_is_missing(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    waiting = worker.waiting(threads, worker.facts.get, scope, "p", wait=30)
    worker.stacks.put(scope, "", author())
    worker.put(scope, "p", "here")
    assert waiting.result(10).text == '"here"'


def test_a_reader_waits_on_one_worker_for_a_write_through_another(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    waiting = worker.waiting(threads, worker.facts.get, scope, "p", wait=30)
    world.worker().put(scope, "p", "here")
    assert waiting.result(10).text == '"here"'


def test_a_reader_waits_until_a_fact_changes(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    known = worker.put(scope, "p", 1).revision
    waiting = worker.waiting(threads, worker.facts.get, scope, "p", wait=30, unless=lambda fact: fact.revision == known
    )
    worker.put(scope, "p", 1)
    worker.put(scope, "q", 1)
    changed = worker.put(scope, "p", 2).revision
    assert waiting.result(10).revision == changed


@pytest.mark.parametrize("what", ["fact", "batch", "stack"])
def test_a_deletion_wakes_who_waits_for_change(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor, what: str
) -> None:
    worker.put(scope, "p", 1)
    waiting = worker.waiting(threads, worker.facts.get, scope, "p", wait=30, unless=lambda fact: True)
    if what == "fact":
        worker.delete(scope, "p")
    elif what == "batch":
        worker.facts.batch(scope, [Delete("p"), Put.of("p/q", 1)], [], author())
    else:
        worker.stacks.delete(scope, author())
    with pytest.raises(NotFound):
        waiting.result(10)


def test_a_missing_fact_is_said_to_be_missing_at_once(worker: Worker, scope: Scope) -> None:
    with pytest.raises(NotFound):
        worker.facts.get(scope, "p")
    worker.put(scope, "p/q")
    with pytest.raises(NotFound):
        worker.facts.get(scope, "p")


# Preconditions


def test_compare_and_set_lets_one_win(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "p", 1)
    known = tagged(worker, scope, "p")
    won = worker.put(scope, "p", 2, known)
    with pytest.raises(PreconditionFailed) as lost:
        worker.put(scope, "p", 3, known)
    assert lost.value.extra["etag"] == str(worker.facts.cursor(won.revision))
    with pytest.raises(PreconditionFailed):
        worker.delete(scope, "p", known)
    worker.delete(scope, "p", tagged(worker, scope, "p"))


def test_a_precondition_is_judged_even_when_nothing_would_change(
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


def test_a_refused_first_write_does_not_make_the_stack(worker: Worker, scope: Scope) -> None:
    with pytest.raises(PreconditionFailed):
        worker.put(scope, "p", 1, EXISTS)
    with pytest.raises(NotFound):
        worker.stacks.get(scope)


# Batches


def test_a_batch_is_one_revision_and_one_event(worker: Worker, scope: Scope) -> None:
    before = worker.put(scope, "old").revision
    wishes = [Put.of("a", 1), Delete("old"), Put.of("b/c", 2), Delete("gone")]
    written = worker.facts.batch(scope, wishes, [("old", EXISTS)], author())
    assert [r.outcome for r in written.results] == ["created", "deleted", "created", "absent"]
    assert {r.fact.revision for r in written.results if r.fact} == {written.revision}
    assert events_since(worker, scope, before) == [
        (written.revision, ["fact.put a", "fact.put b/c", "fact.delete old"])
    ]
    assert worker.paths(scope) == ["a", "b/c"]


def test_a_batch_with_a_failed_guard_writes_nothing(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "g", 1)
    known = tagged(worker, scope, "g")
    worker.put(scope, "g", 2)
    head = worker.backend.head(soon())
    for guard in (("g", known), ("g", ABSENT), ("missing", EXISTS)):
        with pytest.raises(PreconditionFailed):
            worker.facts.batch(scope, [Put.of("a", 1)], [("g", ANY), guard], author())
    with pytest.raises(Conflict):
        worker.facts.batch(scope, [Put.of("a", 1), Put.of("g/x", 1)], [], author())
    assert worker.backend.head(soon()) == head
    assert worker.paths(scope) == ["g"]


def test_a_hundred_operations_go_in_one_batch(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "first")
    wishes = [Put.of(f"f{n}/x", n) for n in range(100)]
    written = worker.facts.batch(scope, wishes, [], author())
    assert {r.outcome for r in written.results} == {"created"}
    gone = worker.facts.batch(scope, [Delete(wish.path) for wish in wishes], [], author())
    assert {r.outcome for r in gone.results} == {"deleted"}
    assert worker.paths(scope) == ["first"]


def test_a_batch_makes_a_stack_when_it_puts_and_not_when_it_deletes(
    worker: Worker, scope: Scope
) -> None:
    with pytest.raises(NotFound):
        worker.facts.batch(scope, [Delete("p")], [], author())
    worker.facts.batch(scope, [Put.of("p", 1), Put.of("q/r", 1)], [], author())
    assert worker.paths(scope) == ["p", "q/r"]


# Idempotency


def test_a_repeated_request_gets_the_same_answer_and_changes_nothing(
    world: World, worker: Worker, scope: Scope
) -> None:
    key = Idempotency(f"key-{scope.stack}", "print")
    first = worker.put(scope, "p", 1, ABSENT, idempotency=key)
    worker.put(scope, "p", "changed since")
    head = worker.backend.head(soon())
    for retrying in (worker, world.worker()):
        again = retrying.put(scope, "p", 1, ABSENT, idempotency=key)
        assert again.revision == first.revision
        assert again.results[0].outcome == "created"
        assert again.results[0].fact is not None
        assert again.results[0].fact.revision == first.revision
        assert again.results[0].fact.text == "1"
    assert worker.backend.head(soon()) == head
    assert worker.value(scope, "p") == '"changed since"'


def test_a_key_that_was_used_for_another_request_is_refused(worker: Worker, scope: Scope) -> None:
    key = f"key-{scope.stack}"
    worker.put(scope, "p", 1, idempotency=Idempotency(key, "one"))
    with pytest.raises(Conflict) as refused:
        worker.put(scope, "p", 2, idempotency=Idempotency(key, "two"))
    assert refused.value.code == "idempotency_key_reused"
    assert worker.value(scope, "p") == "1"


def test_a_refused_request_may_be_repeated_with_its_key(worker: Worker, scope: Scope) -> None:
    key = Idempotency(f"key-{scope.stack}", "print")
    with pytest.raises(PreconditionFailed):
        worker.put(scope, "p", 1, EXISTS, idempotency=key)
    worker.put(scope, "p", 0)
    assert worker.put(scope, "p", 1, EXISTS, idempotency=key).results[0].outcome == "updated"


def test_a_deletion_and_a_batch_are_repeated_without_effect(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "p", 1)
    for name, wishes in (
        ("d", [Delete("p")]),
        ("b", [Put.of("p", 1), Put.of("q", 1), Delete("gone")]),
    ):
        key = Idempotency(f"key-{name}-{scope.stack}", "print")
        first = worker.facts.batch(scope, wishes, [], author(), key)
        head = worker.backend.head(soon())
        assert worker.facts.batch(scope, wishes, [], author(), key) == first
        assert worker.backend.head(soon()) == head


def test_of_many_equal_requests_at_once_one_is_carried_out(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    other = world.worker()
    key = Idempotency(f"key-{scope.stack}", "print")
    by = author()

    def request(at: Worker) -> tuple[int, str]:
        written = at.put(scope, "p", 1, ABSENT, idempotency=key, by=by)
        return written.revision, written.results[0].outcome

    asked = [threads.submit(request, at) for at in (worker, other) * 6]
    answers = {answer.result(20) for answer in asked}
    assert len(answers) == 1
    assert worker.facts.get(scope, "p").version == 1


# Leases; the shortest takes five seconds, so one test looks at all of them together


def test_facts_with_a_ttl_live_as_long_as_they_are_renewed_and_never_end_early(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    for path in ("renewed", "unbound", "changed", "left"):
        worker.put(scope, path, 1, ttl=5)
    worker.put(scope, "long", 1, ttl=3600)
    shown = worker.facts.get(scope, "renewed").revision
    worker.put(scope, "unbound", 1)
    moved = worker.put(scope, "changed", 2, ttl=3600)
    assert moved.results[0].outcome == "updated"
    cursor = worker.facts.cursor(worker.store.refresh(soon()).revision)
    expiring = threads.submit(worker.watching.poll, scope, cursor, 30, Filter())
    while not expiring.done():
        assert worker.put(scope, "renewed", 1, ttl=5).results[0].outcome == "unchanged"
    (event,) = expiring.result(10).events
    assert [(c.type, c.path, c.by) for c in event.changes] == [("fact.expire", "left", None)]
    assert event.changes[0].previous is not None
    assert event.changes[0].previous.text == "1"
    assert worker.paths(scope) == ["changed", "long", "renewed", "unbound"]
    assert worker.facts.get(scope, "renewed").revision == shown
    assert worker.facts.get(scope, "unbound").ttl is None
    assert worker.put(scope, "left", 1, ttl=5).results[0].outcome == "created"


# Lists


def test_pages_show_one_revision_while_writers_go_on(worker: Worker, scope: Scope) -> None:
    for n in range(10):
        worker.put(scope, f"a/{n}", n)
    page = worker.facts.list(scope, prefix="a", limit=3)
    found = [(fact.path, fact.text) for fact in page.facts]
    at = page.cursor
    for n in range(10):
        worker.put(scope, f"a/{n}", "changed")
        worker.put(scope, f"a/{n}-new", 1)
        if n % 2:
            worker.delete(scope, f"a/{n}")
        if page.marker:
            page = worker.facts.list(scope, prefix="a", limit=3, marker=page.marker, at=at)
            assert page.cursor == at
            found += [(fact.path, fact.text) for fact in page.facts]
    assert page.marker is None
    assert found == [(f"a/{n}", str(n)) for n in range(10)]


def test_a_watch_from_the_cursor_of_a_list_misses_nothing(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "a")
    page = worker.facts.list(scope, limit=9)
    written = worker.put(scope, "b")
    found = worker.watching.poll(scope, page.cursor, 10, Filter())
    assert [event.revision for event in found.events] == [written.revision]


def test_pages_of_a_state_that_was_given_up_must_be_begun_anew(
    worker: Worker, scope: Scope
) -> None:
    for n in range(4):
        worker.put(scope, f"p{n}")
    page = worker.facts.list(scope, limit=2)
    worker.put(scope, "p9")
    last = worker.put(scope, "p9", 2).revision
    assert page.marker
    worker.backend.compact(last, soon())
    with pytest.raises(CursorExpired):
        worker.facts.list(scope, limit=2, marker=page.marker, at=page.cursor)
    again = worker.facts.list(scope, limit=9)
    assert [fact.path for fact in again.facts] == ["p0", "p1", "p2", "p3", "p9"]


def test_pages_of_a_former_stack_with_the_same_name_are_not_continued(
    worker: Worker, scope: Scope
) -> None:
    for n in range(4):
        worker.put(scope, f"secret{n}")
    page = worker.facts.list(scope, limit=2)
    worker.stacks.delete(scope, author())
    with pytest.raises(NotFound):
        worker.facts.list(scope, limit=2, marker=page.marker or "", at=page.cursor)
    worker.put(scope, "new")
    with pytest.raises(CursorExpired):
        worker.facts.list(scope, limit=2, marker=page.marker or "", at=page.cursor)
    foreign = Cursor("0" * 16, page.cursor.revision)
    with pytest.raises(CursorExpired):
        worker.facts.list(scope, limit=2, at=foreign)


# Isolation


def test_two_projects_stacks_of_one_name_share_nothing(worker: Worker, scope: Scope) -> None:
    others = Scope("0bad" * 8, scope.stack)
    mine = worker.put(scope, "p", "mine")
    worker.put(others, "p", "theirs")
    worker.put(others, "q", "theirs")
    assert worker.value(scope, "p") == '"mine"'
    assert worker.paths(scope) == ["p"]
    assert events_since(worker, scope, mine.revision) == []
    worker.stacks.delete(others, author())
    assert worker.paths(scope) == ["p"]
