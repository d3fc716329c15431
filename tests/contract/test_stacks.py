"""The stack and context services, on every backend."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import CursorExpired, Invalid, NotFound
from factstore.core.model.fact import Scope
from factstore.core.model.usage import Usage
from factstore.core.services.context_view import ContextView
from tests.contract.world import Worker, World, author, soon


@pytest.fixture
def project(scope: Scope) -> str:
    return f"project-{scope.stack}"


def test_a_stack_is_created_by_name_or_by_its_first_fact(worker: Worker, project: str) -> None:
    named, created = worker.stacks.put(Scope(project, "named"), "text", author("bob"))
    assert created
    assert (named.stack.description, named.stack.updated_by) == ("text", "bob")
    assert worker.stacks.get(Scope(project, "named")) == named
    assert named.usage == Usage(0, 0)
    written = worker.put(Scope(project, "written"), "a/b", "v")
    stack, usage, _ = worker.stacks.get(Scope(project, "written"))
    assert stack.created == written.revision
    assert usage == Usage(1, len("a/b") + len('"v"'))
    assert stack.id != named.stack.id


def test_equal_settings_make_no_revision_and_other_settings_do(
    worker: Worker, scope: Scope
) -> None:
    first, _ = worker.stacks.put(scope, "one", author())
    head = worker.backend.head(soon())
    again, created = worker.stacks.put(scope, "one", author("bob"))
    assert (again, created) == (first, False)
    assert worker.backend.head(soon()) == head
    changed, created = worker.stacks.put(scope, "two", author("bob"))
    assert not created
    second = changed.stack
    assert (second.id, second.created, second.created_at) == (
        first.stack.id,
        first.stack.created,
        first.stack.created_at,
    )
    assert (second.description, second.updated_by) == ("two", "bob")
    assert worker.stacks.get(scope) == changed
    with pytest.raises(Invalid):
        worker.stacks.put(scope, "x" * 1025, author())


def test_a_deleted_stack_is_missing_at_every_worker_at_once(
    world: World, worker: Worker, scope: Scope
) -> None:
    other = world.worker()
    worker.put(scope, "p", ttl=60)
    stack = worker.stacks.get(scope).stack
    other.stacks.delete(scope, author())
    for at in (worker, other):
        with pytest.raises(NotFound):
            at.stacks.get(scope)
        with pytest.raises(NotFound):
            at.facts.get(scope, "p")
        with pytest.raises(NotFound):
            at.facts.list(scope, limit=9)
        with pytest.raises(NotFound):
            at.context.get(scope)
        with pytest.raises(NotFound):
            at.stacks.delete(scope, author())
    worker.backend.purge_deleted(soon())
    assert world.leftovers(stack) == 0


def test_a_recreated_stack_shares_nothing_with_the_former_one(
    world: World, worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "p", "old")
    old = worker.stacks.get(scope).stack
    etag = worker.facts.get(scope, "p").etag
    worker.stacks.delete(scope, author())
    worker.put(scope, "q", "new")
    new, usage, _ = worker.stacks.get(scope)
    assert new.id != old.id
    assert usage.facts == 1
    assert worker.paths(scope) == ["q"]
    worker.put(scope, "p", "old")
    assert worker.facts.get(scope, "p").etag != etag
    worker.backend.purge_deleted(soon())
    assert worker.paths(scope) == ["p", "q"]
    assert world.leftovers(old) == 0


def test_stacks_are_listed_by_project_and_paged_at_one_revision(
    worker: Worker, project: str
) -> None:
    names = ["a", "a-b", "a.b", "a0", "b"]
    for name in reversed(names):
        worker.stacks.put(Scope(project, name), name, author())
    worker.stacks.put(Scope(f"{project}0", "zz"), "", author())
    page = worker.stacks.list(project, limit=2)
    found = [stack.name for stack in page.items]
    at = page.cursor
    worker.stacks.delete(Scope(project, "b"), author())
    worker.stacks.put(Scope(project, "a1"), "", author())
    while page.marker:
        page = worker.stacks.list(project, limit=2, marker=page.marker, at=at)
        assert page.cursor == at
        found += [stack.name for stack in page.items]
    assert found == names
    now = worker.stacks.list(project, limit=9)
    assert [stack.name for stack in now.items] == ["a", "a-b", "a.b", "a0", "a1"]
    assert worker.stacks.list("nobody", limit=9).items == ()
    worker.backend.compact(now.cursor.revision, soon())
    with pytest.raises(CursorExpired):
        worker.stacks.list(project, limit=2, marker="a", at=at)


def test_a_context_contains_all_facts_at_one_revision(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "nodes/head/ip", "10.0.0.5")
    worker.put(scope, "nodes/c1/ip", "10.0.0.6")
    last = worker.put(scope, "results/c1/install", {"state": "complete"})
    context = worker.context.get(scope)
    assert json.loads(context.text) == {
        "stack": scope.stack,
        "facts": {"nodes": {"c1": {"ip": "10.0.0.6"}, "head": {"ip": "10.0.0.5"}}},
        "members": {},
    }
    assert context.cursor.revision >= last.revision
    assert (
        "results" in json.loads(worker.context.get(scope, ContextView(results=True)).text)["facts"]
    )


def test_equal_facts_make_equal_contexts_on_every_worker(
    world: World, worker: Worker, scope: Scope
) -> None:
    worker.put(scope, "b", 1)
    worker.put(scope, "a", 2)
    other = world.worker().context.get(scope)
    mine = worker.context.get(scope)
    assert (other.text, other.etag) == (mine.text, mine.etag)


def test_a_reader_waits_for_the_context_to_change(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    worker.put(scope, "p", 1)
    known = worker.context.get(scope)
    waiting = worker.waiting(threads, worker.context.get, scope, wait=100, unless=[known.etag])
    worker.put(scope, "results/c1/x", 1)
    worker.put(scope, "p", 1)
    worker.put(scope, "p", 2)
    assert json.loads(waiting.result(60).text)["facts"] == {"p": 2}
    waiting = worker.waiting(
        threads, worker.context.get, scope, wait=100, unless=[worker.context.get(scope).etag]
    )
    worker.stacks.delete(scope, author())
    with pytest.raises(NotFound):
        waiting.result(60)


def test_a_reader_waits_for_a_stack_to_have_a_context(
    worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    waiting = worker.waiting(threads, worker.context.get, scope, wait=100)
    worker.put(scope, "p", 1)
    assert json.loads(waiting.result(60).text)["facts"] == {"p": 1}
