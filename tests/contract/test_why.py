"""Why a member last ran: chains of causes, where they begin, and what callers may see of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factstore.core.errors import NotFound
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Event, flapping_change
from factstore.core.model.fact import Put, Scope
from factstore.core.model.flapping_report import FlappingReport, flapping_key
from factstore.core.model.grant import GrantRequest
from factstore.core.model.member import JoinRequest, Member
from factstore.core.model.permissions import Permissions
from factstore.core.model.precondition import ANY
from factstore.core.model.read_set import ReadSet
from factstore.core.services.cause_chain import FLAPPING_TIMES, STEPS
from factstore.core.services.watch_filter import Filter
from factstore.core.services.why import Why
from tests.contract.membership import changes_since
from tests.contract.world import Worker, World, author, soon
from tests.eventually import eventually


def join(worker: Worker, scope: Scope, name: str, *reads: str, **more: object) -> Member:
    request = JoinRequest.of("compute", **more)  # type: ignore[arg-type]
    member = worker.members.join(scope, name, request, author()).member
    if reads:
        read_set = ReadSet.of(name, reads, (), ())
        worker.read_sets.put(scope, read_set, member.generation, author())
    return member


def put(
    worker: Worker, scope: Scope, path: str, value: object, cause: int = 0, **by: object
) -> int:
    written = replace(author(), cause=worker.cursor(cause) if cause else None, **by)
    return worker.facts.put(scope, Put.of(path, value), written, ANY).revision


def applied(worker: Worker, scope: Scope, member: Member, revision: int) -> None:
    cursor = Cursor(worker.store.state().epoch, revision)
    worker.members.heartbeat(scope, member.name, member.generation, cursor)

    def is_recorded() -> bool:
        stack_state = worker.store.state().stack_state(scope)
        return stack_state is not None and (
            stack_state.convergence.applied.get(member.name) == revision
        )

    eventually(is_recorded)  # reports of many members are written together


def why(worker: Worker, scope: Scope, name: str, **more: object) -> Why:
    return worker.services.why.get(scope, name, **more)  # type: ignore[arg-type]


def steps(found: Why) -> list[tuple[str, str | None]]:
    return [(step.subject, step.writer) for step in found.steps]


def test_a_chain_leads_back_to_what_a_person_changed(worker: Worker, scope: Scope) -> None:
    first = put(worker, scope, "partition", "debug")
    head = join(worker, scope, "head", "partition")
    c1 = join(worker, scope, "c1", "nodes/head/*")
    put(worker, scope, "noise", 1)
    key = put(worker, scope, "nodes/head/key", "k", cause=first)
    applied(worker, scope, c1, key)
    put(worker, scope, "nodes/head/late", 1)  # the member has not applied it
    found = why(worker, scope, "c1")
    assert steps(found) == [("nodes/head/key", "head"), ("partition", None)]
    assert (found.end, found.applied) == ("user", Cursor(worker.store.state().epoch, key))
    assert found.target != found.applied
    (written, begun) = [step.change for step in found.steps]
    assert written is not None
    assert begun is not None
    assert (begun.by, begun.request_id) == ("alice", begun.fact and begun.fact.request_id)
    applied(worker, scope, head, first)
    assert why(worker, scope, "head").end == "user"


def test_a_chain_leads_back_to_a_join_and_to_a_declaration(worker: Worker, scope: Scope) -> None:
    c1 = join(worker, scope, "c1")
    found = why(worker, scope, "c1")
    assert (steps(found), found.end) == ([("members/c1", None)], "join")
    declared = JoinRequest.of("compute", declared="heat:1", reason="scaled_out")
    worker.members.join(scope, "c2", declared, author())
    revision = worker.store.state().revision
    put(worker, scope, "nodes/c1/peers", 2, cause=revision)
    applied(worker, scope, c1, worker.store.state().revision)
    found = why(worker, scope, "c1")
    assert steps(found) == [("nodes/c1/peers", "c1"), ("members/c2", None)]
    assert found.end == "declaration"
    assert "heat:1" in found.detail
    assert "scaled_out" in found.detail


def test_a_chain_ends_with_a_departure_even_if_the_member_was_declared(
    worker: Worker, scope: Scope
) -> None:
    c1 = join(worker, scope, "c1")
    worker.members.join(scope, "c2", JoinRequest.of("compute", declared="srv-2"), author())
    for name in ("c2", "c3"):
        if name == "c3":
            join(worker, scope, name)
        worker.members.depart(scope, name, "left", None, author())
        applied(worker, scope, c1, worker.store.state().revision)
        found = why(worker, scope, "c1")
        assert (found.end, found.detail) == ("departure", f"'{name}' departed (left).")


def test_an_agent_that_states_no_cause_ends_a_chain(worker: Worker, scope: Scope) -> None:
    c1 = join(worker, scope, "c1")
    request = GrantRequest("agent", "c1", None, 600)
    grant = worker.grants.issue(scope, request, author()).grant
    put(worker, scope, "nodes/c1/ip", 1, user_id=f"grant:{grant.id}", grant=grant.id)
    applied(worker, scope, c1, worker.store.state().revision)
    found = why(worker, scope, "c1")
    assert (steps(found), found.end) == ([("nodes/c1/ip", "c1")], "agent")


def test_a_chain_that_returns_to_its_path_is_called_flapping(worker: Worker, scope: Scope) -> None:
    a = join(worker, scope, "a", "nodes/b/x")
    join(worker, scope, "b", "nodes/a/x")
    at = put(worker, scope, "nodes/b/x", 0)
    for number in range(2 * FLAPPING_TIMES):
        at = put(worker, scope, "nodes/a/x", number, cause=at)
        at = put(worker, scope, "nodes/b/x", -number - 1, cause=at)
    applied(worker, scope, a, at)
    found = why(worker, scope, "a")
    assert found.end == "flapping"
    assert found.flapping is not None
    assert found.flapping.path == "nodes/b/x"
    assert (found.flapping.paths, found.flapping.writers) == (
        ("nodes/a/x", "nodes/b/x"),
        ("a", "b"),
    )
    assert len(found.steps) <= STEPS


def loop(worker: Worker, scope: Scope, turns: int, at: int = 0, first: int = 0) -> int:
    """Let two members wake each other; return the last revision."""
    at = at or put(worker, scope, "nodes/b/x", "begin")
    for number in range(first, first + turns):
        at = put(worker, scope, "nodes/a/x", number, cause=at)
        at = put(worker, scope, "nodes/b/x", number, cause=at)
    return at


def reported(worker: Worker, scope: Scope, after: int) -> list[tuple[str, str]]:
    """Return the types of the changes of the stack as a whole, and the paths that they name."""
    return [
        (change.type, (change.reason or "").partition(" ")[0])
        for changes in changes_since(worker, scope, after)
        for change in changes
        if change.type.startswith("stack.")
    ]


def test_a_loop_is_reported_once_by_all_workers_together(world: World, scope: Scope) -> None:
    workers = [world.worker(), world.worker()]
    worker = workers[0]
    join(worker, scope, "a", "nodes/b/x")
    join(worker, scope, "b", "nodes/a/x")

    def look() -> None:
        for each in workers:
            each.store.refresh(soon())
            each.services.wait_monitor.run_once()

    start = at = loop(worker, scope, FLAPPING_TIMES - 1)
    look()
    assert reported(worker, scope, start) == []
    at = loop(worker, scope, 3, at, 100)
    look()
    found = reported(worker, scope, start)
    assert sorted(found) == [("stack.flapping", "nodes/a/x"), ("stack.flapping", "nodes/b/x")]
    loop(worker, scope, 3, at, 200)
    look()
    assert reported(worker, scope, start) == found
    record = worker.store.state().record(scope, flapping_key("nodes/a/x"))
    assert isinstance(record, FlappingReport)
    assert (record.paths, record.writers) == (("nodes/a/x", "nodes/b/x"), ("a", "b"))


def test_a_loop_through_hidden_paths_is_not_reported_to_others() -> None:
    report = FlappingReport("x", 6, ("configs/a/y", "x"), ("a",), "t", revision=7)
    event = Event(Scope("p", "s"), "id", 7, (flapping_change(report),))
    assert Filter(permissions=Permissions("agent", "b", grant="g")).apply(event) is None
    assert Filter(permissions=Permissions("agent", "a", grant="g")).apply(event) == event
    assert Filter().apply(event) == event


def test_changes_that_do_not_return_are_no_loop(worker: Worker, scope: Scope) -> None:
    join(worker, scope, "a", "trigger")
    start = put(worker, scope, "trigger", "begin")
    for number in range(3 * FLAPPING_TIMES):
        at = put(worker, scope, "trigger", number)
        put(worker, scope, "nodes/a/x", number, cause=at)
    worker.services.wait_monitor.run_once()
    assert reported(worker, scope, start) == []


def test_a_long_chain_is_cut_off(worker: Worker, scope: Scope) -> None:
    a = join(worker, scope, "a")
    at = put(worker, scope, "p0", 0)
    for number in range(STEPS + 5):
        at = put(worker, scope, f"nodes/a/p{number}", 0, cause=at)
    applied(worker, scope, a, at)
    found = why(worker, scope, "a")
    assert (len(found.steps), found.end) == (STEPS, "limit")


def test_a_chain_that_leaves_the_history_states_that(world: World, scope: Scope) -> None:
    worker = world.worker(history=3)
    a = join(worker, scope, "a", "x")
    first = put(worker, scope, "x", 1)
    for number in range(9):
        put(worker, scope, f"noise/{number}", 1)
    last = put(worker, scope, "x", 2, cause=first)
    applied(worker, scope, a, last)
    found = why(worker, scope, "a")
    assert ([step.subject for step in found.steps], found.end) == (["x"], "history")
    assert str(found.since) in found.detail
    for number in range(9):
        put(worker, scope, f"more/{number}", 1)
    found = why(worker, scope, "a")
    assert (found.steps, found.end) == ((), "history")


def test_a_claim_about_the_future_is_no_cause(worker: Worker, scope: Scope) -> None:
    a = join(worker, scope, "a")
    at = put(worker, scope, "x", 1, cause=2**62)
    applied(worker, scope, a, at)
    found = why(worker, scope, "a")
    assert (found.end, found.steps[0].cause) == ("user", None)


def test_a_caller_does_not_see_what_it_may_not_read(worker: Worker, scope: Scope) -> None:
    a = join(worker, scope, "a")
    secret = put(worker, scope, "configs/a/password", "x")
    at = put(worker, scope, "nodes/a/done", 1, cause=secret)
    applied(worker, scope, a, at)
    other = Permissions("agent", "b", grant="g")
    found = why(worker, scope, "a", permissions=other)
    assert [step.change is None for step in found.steps] == [False, True]
    assert "password" not in repr(found)
    assert "alice" not in repr(found.steps[1])
    assert why(worker, scope, "a").steps[1].subject == "configs/a/password"


def test_only_living_members_have_reasons(worker: Worker, scope: Scope) -> None:
    with pytest.raises(NotFound):
        why(worker, scope, "a")
    put(worker, scope, "x", 1)
    with pytest.raises(NotFound):
        why(worker, scope, "a")


def test_a_put_that_changes_nothing_states_no_new_cause(worker: Worker, scope: Scope) -> None:
    at = put(worker, scope, "x", 1)
    put(worker, scope, "y", 1, cause=at)
    put(worker, scope, "y", 1, cause=at + 1)
    assert worker.facts.get(scope, "y").fact.cause == at
    put(worker, scope, "y", 2)
    assert worker.facts.get(scope, "y").fact.cause == 0
