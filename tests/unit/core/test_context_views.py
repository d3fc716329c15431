"""The context document of a stack with members, and the views of members."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from factstore.core.errors import Invalid, NotFound
from factstore.core.model.event import DropFact, DropRecord, PutFact, PutRecord, Step
from factstore.core.model.member import Member
from factstore.core.model.record import RecordKey
from factstore.core.services import context_document
from factstore.core.services.context_view import ContextView
from factstore.core.state.state import State
from tests.unit.core.factories import NOW, SCOPE, fact, state_with
from tests.unit.core.test_context import contexts


def member(name: str, group: str = "compute", revision: int = 0, **more: object) -> Member:
    made = Member(
        name, group, "ready", '{"cores":8}', 30, NOW, NOW, "alice", "req",
        revision=revision, lease=hash(name) % 10**9 + 1,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def state_of(*members: Member, facts: Sequence[str] = ()) -> State:
    state = state_with(facts)
    for each in members:
        join(state, each)
    return state


def join(state: State, joining: Member) -> None:
    revision = state.revision + 1
    state.apply(Step(revision, (PutRecord("s1", replace(joining, revision=revision)),)))


def seen(state: State, member: str = "", **more: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        contexts(state).get(SCOPE, ContextView(member=member, **more)).text
    )  # type: ignore[arg-type]
    return found


def test_living_members_are_included_without_revisions_and_times() -> None:
    state = state_of(member("c1"), member("h", "head", state="joining", attributes="{}"))
    join(state, member("gone", state="departed", reason="left"))
    document = seen(state)
    assert document == {
        "stack": "slurm",
        "facts": {},
        "members": {
            "c1": {"group": "compute", "state": "ready", "attributes": {"cores": 8}},
            "h": {"group": "head", "state": "joining", "attributes": {}},
        },
    }


def test_a_member_sees_itself_and_all_others_by_group() -> None:
    state = state_of(
        member("c1"),
        member("c2", state="draining"),
        member("head", "head"),
        facts=["nodes/c1/ip", "nodes/c1/services/slurmd", "nodes/c10/ip", "nodes/head", "size"],
    )
    document = seen(state, "c1")
    assert {name: document[name] for name in ("stack", "facts", "members")} == seen(state)
    own = {"ip": 2, "services": {"slurmd": 3}}
    assert document["self"] == {
        "name": "c1",
        "group": "compute",
        "state": "ready",
        "attributes": {"cores": 8},
        "facts": own,
    }
    assert document["peers"] == {
        "compute": {"c2": {"state": "draining", "attributes": {"cores": 8}, "facts": {}}},
        "head": {"head": {"state": "ready", "attributes": {"cores": 8}, "facts": {}}},
    }
    other = seen(state, "c2")
    assert other["peers"]["compute"]["c1"]["facts"] == own
    assert seen(state, "head")["peers"].keys() == {"compute"}
    alone = state_of(member("c1"))
    assert seen(alone, "c1")["peers"] == {}


def test_results_are_not_among_the_own_facts_of_a_member() -> None:
    state = state_of(member("c1"), facts=["results/c1/install"])
    assert seen(state, "c1")["self"]["facts"] == {}
    document = seen(state, "c1", results=True)
    assert document["self"]["facts"] == {}
    assert document["facts"]["results"] == {"c1": {"install": 2}}


def test_each_member_has_an_etag_that_changes_with_its_view() -> None:
    state = state_of(member("c1"), member("c2"), facts=["nodes/c1/ip"])
    service = contexts(state)

    def tags() -> list[str]:
        return [service.get(SCOPE, ContextView(member=name)).etag for name in ("", "c1", "c2")]

    first = tags()
    assert len(set(first)) == 3
    assert tags() == first
    join(state, member("c2", version=9, updated_at="later", updated_by="bob", request_id="other"))
    assert tags() == first  # nothing of that is shown
    state.apply(Step(20, (PutFact("s1", fact("results/r", 1, 20)),)))
    assert tags() == first
    join(state, member("c2", state="draining"))
    second = tags()
    assert not set(first) & set(second)
    join(state, member("c2"))
    assert tags() == first
    state.apply(Step(30, (DropFact("s1", "nodes/c1/ip"),)))
    assert not set(first) & set(tags())


def test_an_unchanged_view_is_not_assembled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = state_of(*(member(f"c{n}") for n in range(20)), facts=["nodes/c1/ip"])
    service = contexts(state)
    tags = {f"c{n}": service.get(SCOPE, ContextView(member=f"c{n}")).etag for n in range(20)}
    monkeypatch.setattr(context_document.Rendered, "seen_by", None)
    for name, tag in tags.items():
        assert service.get(SCOPE, ContextView(member=name), unless=[tag]).etag == tag
    with pytest.raises(TypeError):
        service.get(SCOPE, ContextView(member="c1"), unless=[tags["c2"]])


def test_a_member_is_rendered_once_for_all_views(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered: list[str] = []
    plain = context_document.Rendered._peer

    def counted(self: context_document.Rendered, each: Member) -> str:
        rendered.append(each.name)
        return plain(self, each)

    monkeypatch.setattr(context_document.Rendered, "_peer", counted)
    state = state_of(*(member(f"c{n}") for n in range(50)))
    service = contexts(state)
    for n in range(50):
        service.get(SCOPE, ContextView(member=f"c{n}"))
    assert sorted(rendered) == sorted(f"c{n}" for n in range(50))
    join(state, member("c1", state="draining"))
    for n in range(50):
        service.get(SCOPE, ContextView(member=f"c{n}"))
    assert len(rendered) == 100


def test_a_name_without_a_living_member_has_no_context() -> None:
    state = state_of(member("c1"), member("c2", state="departed"))
    for name in ("c2", "c3"):
        with pytest.raises(NotFound, match=f"no member '?{name}"):
            contexts(state).get(SCOPE, ContextView(member=name))
    with pytest.raises(Invalid):
        contexts(state).get(SCOPE, ContextView(member="a/b"))


def test_waiting_for_a_member_ends_when_it_joins_and_when_it_departs() -> None:
    state = state_of(member("c2"), facts=["a"])
    service = contexts(state, lambda: None, lambda: join(state, member("c1")))
    found = service.get(SCOPE, ContextView(member="c1"), wait=30)
    assert json.loads(found.text)["self"]["name"] == "c1"

    def leave() -> None:
        state.apply(Step(state.revision + 1, (DropRecord("s1", RecordKey(Member, "c1")),)))

    service = contexts(state, leave, pytest.fail)
    with pytest.raises(NotFound):
        service.get(SCOPE, ContextView(member="c1"), wait=30, unless=[found.etag])
