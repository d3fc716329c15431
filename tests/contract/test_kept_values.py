"""Earlier values that a stack keeps of its facts, on every backend."""

from __future__ import annotations

import json

import pytest

from factstore.core.errors import Forbidden, Invalid, TooLarge
from factstore.core.model.fact import Author, Delete, DeletePrefix, Put, Scope
from factstore.core.model.kept_value import KEEP_VALUES_MAX, KeptValue
from factstore.core.model.precondition import ANY
from factstore.core.model.quota import Quota
from factstore.core.model.secret_readers import SecretReader
from factstore.core.operations.configurations import OBSTACLES
from factstore.core.operations.stacks import SetStack
from tests.contract.lagging_backend import LaggingBackend
from tests.contract.test_configurations import put, report
from tests.contract.world import Worker, World, author, events_since, soon
from tests.sealing_keys import make_keys, sealing_with

FEW = 2  # recent events: what is older is shown by kept values alone


def keep(worker: Worker, scope: Scope, number: int | None) -> None:
    worker.stacks.put(scope, "", author(), keep_values=number)


def kept(worker: Worker, scope: Scope) -> list[tuple[str, str]]:
    """Return the paths and the values that are kept."""
    records = worker.store.refresh(soon()).records(scope, KeptValue)
    return sorted((each.path, each.text) for each in records)


def told(worker: Worker, scope: Scope, path: str) -> list[str | None]:
    """Return the values in a fact's history, the newest first; None for a deletion."""
    found = worker.history.changes(scope, path, 100)
    cursors = [each.cursor.revision for each in found.changes]
    assert cursors == sorted(set(cursors), reverse=True)
    return [each.change.fact.text if each.change.fact else None for each in found.changes]


def noise(worker: Worker, scope: Scope) -> None:
    """Write until the recent events contain nothing of before."""
    for number in range(FEW + 2):
        worker.put(scope, "noise", number)


def test_a_stack_keeps_the_last_values_beyond_the_recent_events(world: World, scope: Scope) -> None:
    worker = world.worker(history=FEW)
    keep(worker, scope, 3)
    keep(worker, scope, None)  # an update without the number leaves it
    for number in range(6):
        worker.put(scope, "a/b", number)
        worker.put(scope, "a/b", number)  # changes nothing
    head = worker.store.refresh(soon()).revision
    assert kept(worker, scope) == [("a/b", "2"), ("a/b", "3"), ("a/b", "4")]
    noise(worker, scope)
    for reader in (worker, world.worker(history=FEW)):
        found = reader.history.changes(scope, "a/b", 100)
        assert told(reader, scope, "a/b") == ["5", "4", "3", "2"]
        assert [head - each.cursor.revision for each in found.changes] == [0, 1, 2, 3]
        assert all(each.cursor.revision < found.since.revision for each in found.changes)
        assert {each.change.by for each in found.changes} == {"alice"}
        page = reader.history.changes(scope, "a/b", 2)
        assert page.more
        rest = reader.history.changes(scope, "a/b", 9, before=page.changes[-1].cursor)
        assert len(rest.changes) == 2
        assert not rest.more


def test_a_deleted_fact_keeps_its_values_and_the_one_who_deleted_it(
    world: World, scope: Scope
) -> None:
    worker = world.worker(history=FEW)
    keep(worker, scope, 2)
    for number in range(3):
        worker.put(scope, "p", number)
    worker.facts.delete(scope, "p", author("bob"), ANY)
    noise(worker, scope)
    assert told(worker, scope, "p") == [None, "2", "1"]
    deletion = worker.history.changes(scope, "p", 1).changes[0].change
    assert (deletion.type, deletion.by) == ("fact.delete", "bob")
    worker.put(scope, "p", 3)
    noise(worker, scope)
    assert told(worker, scope, "p") == ["3", None, "2", "1"]
    worker.put(scope, "p", 4)
    noise(worker, scope)
    assert told(worker, scope, "p") == ["4", "3", None, "2"]


def test_keeping_makes_no_event_and_a_stack_that_does_not_ask_keeps_nothing(
    worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "p", 0)
    worker.put(scope, "p", 1)
    assert kept(worker, scope) == []
    keep(worker, scope, 1)
    revision = worker.put(scope, "p", 2).revision - 1
    assert kept(worker, scope) == [("p", "1")]
    assert [paths for _, paths in events_since(worker, scope, revision)] == [["fact.put p"]]


def test_a_worker_that_lags_behind_the_settings_keeps_what_they_state(
    world: World, scope: Scope
) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        slow.put(scope, "p", 0)
        for number, expected in ((2, [("p", "0")]), (0, [])):
            slow.value(scope, "p")
            lagging.lag()
            keep(quick, scope, number)
            slow.put(scope, "p", f"with {number}")
            assert kept(quick, scope) == expected
    finally:
        slow.stop()


def test_keeping_fewer_values_deletes_the_oldest_of_each_fact(world: World, scope: Scope) -> None:
    worker = world.worker()
    keep(worker, scope, KEEP_VALUES_MAX)
    paths = [f"p{number}" for number in range(15)]
    for number in range(KEEP_VALUES_MAX + 2):
        worker.facts.batch(scope, [Put.of(path, number) for path in paths], [], author())
    assert len(kept(worker, scope)) == 15 * KEEP_VALUES_MAX
    keep(world.worker(), scope, 1)  # takes two writes
    assert kept(worker, scope) == sorted((path, str(KEEP_VALUES_MAX)) for path in paths)
    worker.put(scope, "p0", "new")
    assert ("p0", str(KEEP_VALUES_MAX + 1)) in kept(worker, scope)
    keep(worker, scope, 0)
    assert kept(worker, scope) == []
    for wrong in (-1, KEEP_VALUES_MAX + 1):
        with pytest.raises(Invalid, match="keep_values"):
            keep(worker, scope, wrong)


def test_facts_that_end_with_a_lease_are_not_kept(worker: Worker, scope: Scope) -> None:
    keep(worker, scope, 2)
    worker.put(scope, "p", 0, ttl=600)
    worker.put(scope, "p", 1, ttl=600)
    worker.put(scope, "p", 2)
    assert kept(worker, scope) == []
    worker.put(scope, "p", 3, ttl=600)
    assert kept(worker, scope) == [("p", "2")]


def test_a_history_shows_where_a_value_was_not_kept(world: World, scope: Scope) -> None:
    """Between two kept values, after the last one, and where the recent events begin."""

    def history() -> list[tuple[str, str | None]]:
        found = worker.history.changes(scope, "p", 100).changes
        cursors = [each.cursor.revision for each in found]
        assert cursors == sorted(set(cursors), reverse=True)
        return [(e.change.type, e.change.fact.text if e.change.fact else None) for e in found]

    worker = world.worker(history=FEW)
    keep(worker, scope, 3)
    worker.put(scope, "p", 0)
    brief = worker.put(scope, "p", 1, ttl=600)
    worker.put(scope, "p", 2, ttl=600)
    worker.put(scope, "p", 3)
    noise(worker, scope)
    unknown = ("fact.put", None)
    assert history() == [("fact.put", "3"), unknown, ("fact.put", "0")]
    found = worker.history.changes(scope, "p", 100).changes[1]
    assert (found.cursor.revision, found.change.by) == (brief.revision, None)
    worker.put(scope, "p", 4)
    noise(worker, scope)
    assert history() == [("fact.put", "4"), ("fact.put", "3"), unknown, ("fact.put", "0")]
    page = worker.history.changes(scope, "p", 1, before=found.cursor)
    assert [each.change.fact.text for each in page.changes if each.change.fact] == ["0"]
    # The deletion of a value with a ttl is not kept, nor is that value.
    worker.put(scope, "p", 5, ttl=600)
    assert history()[:2] == [("fact.put", "5"), ("fact.put", "4")]
    worker.delete(scope, "p")
    assert history()[:3] == [("fact.delete", None), ("fact.put", "5"), ("fact.put", "4")]
    noise(worker, scope)
    rest = [unknown, ("fact.put", "4"), ("fact.put", "3"), unknown, ("fact.put", "0")]
    assert history() == rest
    worker.put(scope, "p", 6)
    noise(worker, scope)
    assert history() == [("fact.put", "6"), *rest]


def test_secrets_are_not_kept_and_take_the_kept_values_of_their_fact_with_them(
    world: World, scope: Scope, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("keys")
    make_keys(directory)
    worker = world.worker(encryption=sealing_with(directory))
    keep(worker, scope, 3)
    worker.put(scope, "p", "clear-1")
    worker.put(scope, "p", "clear-2")
    worker.put(scope, "q", "other")
    worker.put(scope, "q", "other-2")
    owner = Author("alice", "req-1", reader=SecretReader(may_read_sensitive=True))
    for secret in ("one", "two"):
        worker.facts.put(scope, Put.of("p", secret, sensitive=True), owner, ANY)
        assert kept(worker, scope) == [("q", '"other"')]
    worker.delete(scope, "p")
    worker.put(scope, "p", "clear-3")
    assert kept(worker, scope) == [("q", '"other"')]
    # A worker that was killed before it had deleted what is no longer to be kept
    worker.transactor.run(SetStack(scope, "", author(), keep_values=0))
    worker.facts.put(scope, Put.of("q", "three", sensitive=True), owner, ANY)
    assert kept(worker, scope) == []


def test_kept_values_count_towards_quotas_and_end_with_their_stack(
    world: World, scope: Scope
) -> None:
    worker = world.worker(quota=Quota(facts_per_stack=4))
    keep(worker, scope, 3)
    for number in range(4):
        worker.put(scope, "p", number)
    stack, usage, _ = worker.stacks.get(scope)
    assert (usage.facts, usage.bytes) == (4, 8)
    with pytest.raises(Forbidden, match="at most 4"):
        worker.put(scope, "q", 1)
    worker.put(scope, "p", 4)  # the oldest value makes room
    keep(worker, scope, 0)
    worker.put(scope, "q", 1)
    worker.stacks.delete(scope, author())
    keep(worker, scope, 0)
    assert kept(worker, scope) == []
    assert stack.id != worker.stacks.get(scope).stack.id


def test_a_batch_has_room_for_the_values_that_it_replaces(worker: Worker, scope: Scope) -> None:
    keep(worker, scope, 1)
    paths = [f"p/{number:03}" for number in range(100)]
    worker.batch(scope, paths)
    with pytest.raises(TooLarge, match=r"keeps 1 earlier.*Split it"):
        worker.facts.batch(scope, [Put.of(path, 2) for path in paths], [], author())
    worker.facts.batch(scope, [Put.of(path, 2) for path in paths[:50]], [], author())
    worker.facts.batch(scope, [Delete(path) for path in paths[50:]], [], author())
    assert kept(worker, scope) == [(path, "1") for path in paths]
    large = ["x" * 60_000 + str(number) for number in range(12)]
    puts = [Put.of(f"large/{number}", text) for number, text in enumerate(large)]
    worker.facts.batch(scope, puts, [], author())
    again = [Put.of(put.path, "y" * 60_000) for put in puts]
    with pytest.raises(TooLarge, match="bytes"):
        worker.facts.batch(scope, again, [], author())
    worker.facts.batch(scope, again[:8], [], author())


def test_a_folder_is_deleted_in_pieces_that_leave_room(worker: Worker, scope: Scope) -> None:
    keep(worker, scope, 1)
    paths = [f"p/{number:03}" for number in range(80)]
    worker.batch(scope, paths)
    piece = DeletePrefix("p", in_pieces=True)
    first = worker.facts.batch(scope, [piece], [], author())
    assert (first.results[0].deleted, first.results[0].more) == (50, True)
    worker.facts.batch(scope, [piece], [], author())
    assert kept(worker, scope) == [(path, "1") for path in paths]


def test_configurations_and_their_results_are_kept_as_other_facts_are(
    worker: Worker, scope: Scope
) -> None:
    keep(worker, scope, 2)
    identifier = put(worker, scope, "c1/a", config="one")
    report(worker, scope, "c1/a", identifier, "in_progress")
    report(worker, scope, "c1/a", identifier, "complete")
    assert [path for path, _ in kept(worker, scope)] == ["results/c1/a"]
    put(worker, scope, "c1/a", config="two")
    deleted = ["configs/c1/a", "results/c1/a", "results/c1/a"]
    assert [path for path, _ in kept(worker, scope)] == deleted
    worker.services.configurations.delete(scope, "c1/a", author())
    texts = [text for path, text in kept(worker, scope) if path == "configs/c1/a"]
    assert [json.loads(text)["config"] for text in texts] == ["one", "two"]


def test_facts_in_the_way_of_a_result_are_not_kept(worker: Worker, scope: Scope) -> None:
    keep(worker, scope, 2)
    identifier = put(worker, scope, "c1/a")
    for number in range(OBSTACLES):
        worker.put(scope, f"results/c1/a/{number}", "x" * 50_000)
    assert report(worker, scope, "c1/a", identifier)
    assert kept(worker, scope) == []
