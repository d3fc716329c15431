"""Requests for a part of a stack or of a project do not visit all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from factstore.core.model.event import Mutation, PutFact, PutRecord, PutStack
from factstore.core.model.fact import Scope
from factstore.core.model.member import Member
from factstore.core.model.permissions import OWNER, Permissions
from factstore.core.model.waiter import Signal
from factstore.core.services.blocking_query import BlockingQuery
from factstore.core.services.readable_facts import fact_missing
from factstore.core.state.record_tables import RecordTables
from tests.unit.core.factories import PROJECT, SCOPE, fact, stack
from tests.unit.core.records import member, signal
from tests.unit.core.service import Service

COUNT = 1000
LIMIT = 5
MOST = 60  # a few searches by halves, and the items of the page


class Visited(list[str]):
    """Names in order that count how many of them are read."""

    count = 0

    def __getitem__(self, at: Any) -> Any:
        self.count += 1
        return super().__getitem__(at)

    def __iter__(self) -> Iterator[str]:
        self.count += len(self)
        return super().__iter__()


@pytest.fixture(scope="module")
def full() -> Service:
    """A service with many facts, members and signals in a stack of many."""
    made = Service()
    others = enumerate(Scope(PROJECT, f"other{n:03}") for n in range(COUNT))
    contents: list[Mutation] = [PutStack(stack(scope, f"o{n}")) for n, scope in others]
    contents.append(PutStack(stack()))
    for name in (f"n{n:03}" for n in range(COUNT)):
        contents.append(PutFact("s1", fact(f"nodes/{name}/x")))
        contents.append(PutFact("s1", fact(f"configs/{name}/x")))
        contents.append(PutRecord("s1", member(name, 1)))
        contents.append(PutRecord("s1", signal(f"w-{name}", "id", 1)))
    made.store.known.load(contents)
    return made


@pytest.fixture
def paths(full: Service) -> Visited:
    """The paths of the facts."""
    stack_state = full.store.known.stack_state(SCOPE)
    assert stack_state is not None
    found = stack_state.paths = Visited(stack_state.paths)
    return found


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({}, "configs/n000/x"),
        ({"marker": "nodes/n499/x"}, "nodes/n500/x"),
        ({"prefix": "nodes"}, "nodes/n000/x"),
        ({"prefix": "nodes", "marker": "nodes/n499/x"}, "nodes/n500/x"),
    ],
)
def test_a_page_of_facts_visits_few_paths(
    full: Service, paths: Visited, asked: dict[str, str], first: str
) -> None:
    page = full.facts.list(SCOPE, limit=LIMIT, **asked)  # type: ignore[arg-type]
    assert (page.items[0].path, len(page.items)) == (first, LIMIT)
    assert paths.count < MOST


@pytest.mark.parametrize("name", ["n500", None])
def test_a_page_for_a_holder_skips_what_others_may_not_read(
    full: Service, paths: Visited, name: str | None
) -> None:
    page = full.facts.list(SCOPE, limit=LIMIT, permissions=Permissions("agent", name))
    own = [f"configs/{name}/x"] if name else []
    others = [f"nodes/n{n:03}/x" for n in range(LIMIT - len(own))]
    assert [each.path for each in page.items] == own + others
    assert paths.count < 2 * MOST


@pytest.mark.parametrize(
    ("folder", "permissions", "counted"),
    [
        ("nodes", OWNER, f"{COUNT} facts"),
        ("nodes", Permissions("agent", "n500"), f"{COUNT} facts"),
        ("configs", OWNER, f"{COUNT} facts"),
        ("configs", Permissions("agent", "n500"), "1 fact"),
        ("configs/n500", Permissions("agent", "n500"), "1 fact"),
        ("configs", Permissions("agent"), None),
        ("none", OWNER, None),
    ],
)
def test_the_refusal_of_a_folder_counts_its_facts_without_visiting_them(
    full: Service, paths: Visited, folder: str, permissions: Permissions, counted: str | None
) -> None:
    error = fact_missing(full.store.known, SCOPE, folder, permissions)
    assert (f"a folder with {counted} below it" in error.detail) is (counted is not None)
    assert paths.count < MOST


def test_a_page_of_stacks_visits_few_names(full: Service) -> None:
    project = full.store.known._index._projects[PROJECT]
    project.names = names = Visited(project.names)
    page = full.stacks.list(PROJECT, limit=LIMIT, marker="other499")
    assert [each.name for each in page.items] == [f"other{n}" for n in range(500, 500 + LIMIT)]
    assert names.count < MOST


def test_a_page_of_members_visits_few_names(full: Service) -> None:
    names = _record_names(full, Member)
    page = full.services.members.list(SCOPE, limit=LIMIT, marker="n499")
    assert [each.name for each in page.items] == [f"n{n}" for n in range(500, 500 + LIMIT)]
    assert names.count < MOST


def test_the_signals_of_a_waiter_are_found_without_those_of_others(full: Service) -> None:
    names = _record_names(full, Signal)
    stack_state = full.store.known.stack_state(SCOPE)
    assert stack_state is not None
    assert [each.waiter for each in stack_state.signals("w-n500").values()] == ["w-n500"]
    assert names.count < MOST


def test_names_stay_in_order_while_records_come_and_go() -> None:
    tables = RecordTables()
    for name in ("d", "a", "c"):
        tables.put(member(name, 1))
    assert [each.name for each in tables.after(Member)] == ["a", "c", "d"]  # sorted from now on
    tables.put(member("b", 2))
    tables.put(member("c", 2))
    tables.drop(member("a", 1).record_key)
    tables.drop(member("a", 1).record_key)
    assert [each.name for each in tables.after(Member)] == ["b", "c", "d"]
    assert [each.name for each in tables.after(Member, "b")] == ["c", "d"]


def _record_names(full: Service, kind: type[Member | Signal]) -> Visited:
    stack_state = full.store.known.stack_state(SCOPE)
    assert stack_state is not None
    tables = stack_state.tables
    next(tables.after(kind))  # the names are sorted when they are needed first
    names = tables._names[kind] = Visited(tables._names[kind])
    return names


def test_convergence_is_not_computed_for_all_while_a_member_lags(
    full: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    convergence = full.services.convergence
    read = Mock(wraps=convergence._read)
    monkeypatch.setattr(convergence, "_read", read)
    states = [full.store.known] * 5
    monkeypatch.setattr(BlockingQuery, "states", lambda *_, **__: iter(states))
    found = convergence.get(SCOPE, wait=1)
    assert (len(found.members), found.reached) == (COUNT, False)
    assert read.call_count == 1
