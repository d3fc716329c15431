"""Leases, on every backend."""

from __future__ import annotations

from dataclasses import replace

from factstore.core.model.event import DropFact
from factstore.core.model.fact import Stack
from factstore.core.ports import Backend, Transaction
from tests.contract.world import (
    CLOCK,
    current,
    new_fact,
    put_all,
    soon,
)
from tests.eventually import eventually


def test_facts_on_one_lease_expire_together_and_never_early_and_a_renewed_lease_lives_on(
    backend: Backend, stack: Stack
) -> None:
    ttl = 2
    granted = CLOCK.monotonic()
    lease, renewed = backend.create_lease(ttl, soon()), backend.create_lease(ttl, soon())
    facts = [new_fact(path, lease=lease, ttl=ttl) for path in ("a", "b/c", "z")]
    lasting = new_fact("renewed", lease=renewed, ttl=ttl)
    revision = put_all(backend, stack, *facts, lasting, new_fact("stays"))
    renewals = []

    def ended() -> bool:
        asked = CLOCK.monotonic()
        renewals.append((backend.renew_lease(renewed, soon()), asked))
        return backend.head(soon()) > revision

    eventually(ended)
    assert CLOCK.monotonic() - granted >= ttl
    following = backend.follow(revision)
    step = next(following)
    assert sorted(m.path for m in step.mutations if isinstance(m, DropFact)) == ["a", "b/c", "z"]
    assert len(step.mutations) == 3, "no act: nobody did it"
    assert not backend.renew_lease(lease, soon())
    assert all(alive for alive, _ in renewals)
    assert current(backend, stack) == {"renewed": "1", "stays": "1"}
    _, last = renewals[-1]
    assert next(following).mutations == (DropFact(stack.id, "renewed"),)
    assert CLOCK.monotonic() - last >= ttl, "it ended early"


def test_revoking_a_lease_deletes_just_the_keys_attached_to_it(
    backend: Backend, stack: Stack
) -> None:
    lease, other = backend.create_lease(60, soon()), backend.create_lease(60, soon())
    put_all(backend, stack, *(new_fact(path, lease=lease, ttl=60) for path in ("a", "b", "c")))
    put_all(backend, stack, new_fact("b", lease=0), new_fact("c", lease=other, ttl=60))
    backend.revoke_lease(lease, soon())
    assert sorted(current(backend, stack)) == ["b", "c"]
    backend.revoke_lease(lease, soon())
    backend.revoke_lease(other, soon())
    assert sorted(current(backend, stack)) == ["b"]


def test_no_key_is_attached_to_a_lease_that_has_ended(backend: Backend, stack: Stack) -> None:
    lease = backend.create_lease(60, soon())
    backend.revoke_lease(lease, soon())
    assert not backend.renew_lease(lease, soon())
    head = backend.head(soon())
    commit = Transaction(
        stack,
        head,
        fact_revisions={"p": 0},
        puts=(new_fact("q"), new_fact("p", lease=lease, ttl=60)),
    )
    assert backend.commit(commit, soon()) is None
    assert backend.head(soon()) == head


def test_no_stack_is_created_with_a_key_on_a_lease_that_has_ended(
    backend: Backend, stack: Stack
) -> None:
    lease = backend.create_lease(60, soon())
    backend.revoke_lease(lease, soon())
    head = backend.head(soon())
    new = replace(stack, name="another", id="an0ther")
    fact = new_fact("p", lease=lease, ttl=60)
    assert backend.commit(Transaction(new, head, creates_stack=True, puts=(fact,)), soon()) is None
    assert backend.head(soon()) == head


def test_the_end_of_a_lease_without_keys_makes_no_step(backend: Backend, stack: Stack) -> None:
    head = backend.head(soon())
    backend.revoke_lease(backend.create_lease(60, soon()), soon())
    assert backend.head(soon()) == head
