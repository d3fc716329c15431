"""Lists of facts, on every backend."""

from __future__ import annotations

import pytest

from factstore.core.errors import CursorExpired, NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.services.watch_filter import Filter
from tests.contract.world import Worker, author, soon


def test_pages_show_one_revision_while_writers_continue(worker: Worker, scope: Scope) -> None:
    for n in range(10):
        worker.put(scope, f"a/{n}", n)
    page = worker.facts.list(scope, prefix="a", limit=3)
    found = [(fact.path, fact.text) for fact in page.items]
    at = page.cursor
    for n in range(10):
        worker.put(scope, f"a/{n}", "changed")
        worker.put(scope, f"a/{n}-new", 1)
        if n % 2:
            worker.delete(scope, f"a/{n}")
        if page.marker:
            page = worker.facts.list(scope, prefix="a", limit=3, marker=page.marker, at=at)
            assert page.cursor == at
            found += [(fact.path, fact.text) for fact in page.items]
    assert page.marker is None
    assert found == [(f"a/{n}", str(n)) for n in range(10)]


def test_a_watch_from_the_cursor_of_a_list_misses_nothing(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "a")
    page = worker.facts.list(scope, limit=9)
    written = worker.put(scope, "b")
    found = worker.watch.poll(scope, page.cursor, 10, Filter())
    assert [event.revision for event in found.events] == [written.revision]


def test_pages_of_a_compacted_revision_must_be_restarted(worker: Worker, scope: Scope) -> None:
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
    assert [fact.path for fact in again.items] == ["p0", "p1", "p2", "p3", "p9"]


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
