"""Preconditions on stacks and members, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from factstore.core.errors import Conflict, NotFound, PreconditionFailed
from factstore.core.model.fact import Scope
from factstore.core.model.member import JoinRequest, Member
from factstore.core.model.precondition import ABSENT, ANY, EXISTS, Precondition
from factstore.core.operations.idempotency import Idempotency
from factstore.core.services.members import Joined
from factstore.core.services.views import StackView
from tests.contract.membership import declare, names
from tests.contract.world import Worker, World, author


def tagged(etag: str) -> Precondition:
    return Precondition(tags=frozenset([etag]))


def refused(call: Callable[[], object], etag: str | None) -> None:
    """Check that a call is refused with the current etag."""
    with pytest.raises(PreconditionFailed) as error:
        call()
    assert error.value.extra["etag"] == etag


def join(
    worker: Worker, scope: Scope, precondition: Precondition, key: Idempotency | None = None
) -> Joined:
    request = JoinRequest.of("node", 600)
    return worker.members.join(scope, "lead", request, author(), key, precondition)


# Stacks


def settings_tag(view: StackView) -> str:
    """Return the part of a stack's tag on which a write depends."""
    return view.etag.partition("-")[0]


def test_a_stack_is_created_once(world: World, worker: Worker, scope: Scope) -> None:
    made, created = worker.stacks.put(scope, "mine", author(), ABSENT)
    assert created
    etag = settings_tag(made)
    for each in (worker, world.worker()):
        refused(lambda each=each: each.stacks.put(scope, "other", author(), ABSENT), etag)
        refused(lambda each=each: each.stacks.put(scope, "mine", author(), ABSENT), etag)
    assert worker.stacks.get(scope).stack.description == "mine"


def test_the_settings_of_a_stack_are_changed_unless_they_have_changed(
    world: World, worker: Worker, scope: Scope
) -> None:
    refused(lambda: worker.stacks.put(scope, "one", author(), EXISTS), None)
    first = settings_tag(worker.stacks.put(scope, "one", author())[0])
    worker.put(scope, "fact")
    second, _ = world.worker().stacks.put(scope, "two", author(), tagged(first))
    etag = settings_tag(second)
    assert etag != first
    refused(lambda: worker.stacks.put(scope, "three", author(), tagged(first)), etag)
    refused(lambda: worker.stacks.delete(scope, author(), tagged(first)), etag)
    worker.stacks.delete(scope, author(), tagged(etag))
    with pytest.raises(NotFound):
        worker.stacks.delete(scope, author(), tagged(etag))


def test_a_stack_that_was_created_again_is_not_deleted_by_its_former_tag(
    worker: Worker, scope: Scope
) -> None:
    former = settings_tag(worker.stacks.put(scope, "", author())[0])
    worker.stacks.delete(scope, author())
    new = settings_tag(worker.stacks.put(scope, "", author())[0])
    refused(lambda: worker.stacks.delete(scope, author(), tagged(former)), new)


# Members


def test_one_of_many_workers_gets_a_member_as_a_lock(
    world: World, worker: Worker, scope: Scope, threads: ThreadPoolExecutor
) -> None:
    workers = [worker, world.worker(), world.worker()]

    def attempt(number: int) -> Member | None:
        try:
            return join(workers[number % 3], scope, ABSENT).member
        except PreconditionFailed:
            return None

    (holder,) = filter(None, threads.map(attempt, range(12)))
    etag = holder.etag(worker.store.state().epoch)
    refused(lambda: join(worker, scope, ABSENT), etag)
    worker.members.heartbeat(scope, "lead", holder.generation, None)
    worker.members.depart(scope, "lead", "released", holder.generation, author())
    assert join(worker, scope, ABSENT).member.generation != holder.generation


def test_a_repeated_join_meets_the_precondition_of_the_first(worker: Worker, scope: Scope) -> None:
    key = Idempotency("k" * 64, "f" * 64)
    first = join(worker, scope, ABSENT, key)
    again = join(worker, scope, ABSENT, key)
    assert (again.outcome, again.member) == ("unchanged", first.member)
    refused(lambda: join(worker, scope, ABSENT), first.member.etag(worker.store.state().epoch))


def test_an_awaited_member_exists(worker: Worker, scope: Scope) -> None:
    awaited = declare(worker, scope, "lead").member
    etag = awaited.etag(worker.store.state().epoch)
    refused(lambda: join(worker, scope, ABSENT), etag)
    assert join(worker, scope, tagged(etag)).outcome == "adopted"


def test_a_member_is_replaced_only_by_a_caller_that_has_seen_it(
    worker: Worker, scope: Scope
) -> None:
    refused(lambda: join(worker, scope, EXISTS), None)
    first = join(worker, scope, ANY).member.etag(worker.store.state().epoch)
    second = join(worker, scope, tagged(first)).member
    etag = second.etag(worker.store.state().epoch)
    refused(lambda: join(worker, scope, tagged(first)), etag)


def test_the_state_and_the_departure_of_a_member_have_preconditions(
    worker: Worker, scope: Scope
) -> None:
    members, epoch = worker.members, worker.store.state().epoch
    joined = join(worker, scope, ANY).member
    first = joined.etag(epoch)
    ready = members.set_state(scope, "lead", "ready", None, author(), tagged(first))
    etag = ready.etag
    for former in (first, "0123456789abcdef.1"):
        refused(
            lambda former=former: members.set_state(  # type: ignore[misc]
                scope, "lead", "draining", None, author(), tagged(former)
            ),
            etag,
        )
        refused(
            lambda former=former: members.depart(  # type: ignore[misc]
                scope, "lead", "left", None, author(), precondition=tagged(former)
            ),
            etag,
        )
    with pytest.raises(Conflict):  # a former generation is the better reason
        members.set_state(scope, "lead", "ready", "abc", author(), tagged(first))
    members.depart(scope, "lead", "left", None, author(), precondition=tagged(etag))
    assert names(worker, scope) == []
    with pytest.raises(NotFound):
        members.depart(scope, "lead", "left", None, author(), precondition=EXISTS)
