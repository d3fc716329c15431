"""Enrolling with a group's grant: the members' grants, their names, and their end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from factstore.core.errors import Forbidden, NotFound, Unauthorized
from factstore.core.model.fact import Put, Scope
from factstore.core.model.grant import GrantRequest
from factstore.core.model.member import JoinRequest
from factstore.core.model.quota import Quota
from factstore.core.services.grants import GrantService, Issued
from tests.contract.lagging_backend import LaggingBackend
from tests.contract.test_grants import holder, later, lease_of
from tests.contract.world import Worker, World, author, soon

HOUR = 3600


def group(
    worker: Worker | GrantService, scope: Scope, name: str = "compute", ttl: int = HOUR
) -> Issued:
    """A group's grant."""
    grants = worker.grants if isinstance(worker, Worker) else worker
    return grants.issue(scope, GrantRequest.of("agent", None, name, ttl), author())


def enrol(
    worker: Worker | GrantService,
    scope: Scope,
    parent: Issued,
    member: str = "c1",
    ttl: int | None = None,
) -> Issued:
    grants = worker.grants if isinstance(worker, Worker) else worker
    return grants.issue(scope, GrantRequest.of("agent", member, None, ttl), holder(parent))


def held(worker: Worker | GrantService, issued: Issued) -> bool:
    grants = worker.grants if isinstance(worker, Worker) else worker
    return grants.authenticate(issued.grant.id, issued.secret) is not None


# Enrolling


def test_the_holder_of_a_groups_grant_issues_a_members_grant(worker: Worker, scope: Scope) -> None:
    parent = group(worker, scope)
    issued = enrol(worker, scope, parent)
    grant = issued.grant
    assert (grant.role, grant.member, grant.group) == ("agent", "c1", "compute")
    assert (grant.created_by, grant.parent) == (f"grant:{parent.grant.id}", parent.grant.id)
    assert grant.ttl == HOUR
    assert worker.grants.authenticate(grant.id, issued.secret) == (
        scope,
        worker.grants.get(scope, grant.id),
    )
    assert worker.grants.authenticate(grant.id, parent.secret) is None
    joined = worker.members.join(scope, "c1", JoinRequest.of("compute"), holder(issued))
    assert joined.member.group == "compute"


def test_each_instance_of_a_group_has_its_own_grant(worker: Worker, scope: Scope) -> None:
    parent = group(worker, scope)
    one, two = enrol(worker, scope, parent, "c1"), enrol(worker, scope, parent, "c2")
    assert one.grant.id != two.grant.id
    assert held(worker, one)
    assert held(worker, two)
    worker.grants.revoke(scope, one.grant.id, author())
    assert not held(worker, one)
    assert held(worker, two)
    assert held(worker, parent)


def test_enrolling_again_replaces_the_secret(worker: Worker, scope: Scope) -> None:
    parent = group(worker, scope)
    first = enrol(worker, scope, parent)
    lease = lease_of(worker, scope, first.grant.id)
    assert worker.grants.is_valid(first.grant)
    second = enrol(worker, scope, parent)
    assert held(worker, second)
    assert not held(worker, first)
    assert not worker.grants.is_valid(first.grant)  # open streams end too
    assert not worker.store.renew_lease(lease, soon())
    assert len(worker.grants.list(scope, limit=10).items) == 2
    assert worker.stacks.get(scope).usage.facts == 2


def test_a_revoked_members_grant_is_issued_again(worker: Worker, scope: Scope) -> None:
    parent = group(worker, scope)
    worker.grants.revoke(scope, enrol(worker, scope, parent).grant.id, author())
    assert held(worker, enrol(worker, scope, parent))


def test_a_members_grant_expires_no_later_than_the_groups(worker: Worker, scope: Scope) -> None:
    parent = group(worker, scope)
    with pytest.raises(Forbidden, match="3600 seconds"):
        enrol(worker, scope, parent, ttl=HOUR + 1)
    assert enrol(worker, scope, parent, ttl=60).grant.ttl == 60


def test_an_enrolled_member_counts_in_quotas(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(facts_per_stack=2))
    parent = group(worker, scope)
    enrol(worker, scope, parent)
    enrol(worker, scope, parent)
    with pytest.raises(Forbidden) as refused:
        enrol(worker, scope, parent, "c2")
    assert refused.value.code == "quota_exceeded"


# Names that are in use


def test_a_member_of_another_group_keeps_its_name(worker: Worker, scope: Scope) -> None:
    parent = group(worker, scope)
    worker.members.join(scope, "head", JoinRequest.of("head"), author())
    with pytest.raises(Forbidden, match="'head' is in group 'head'"):
        enrol(worker, scope, parent, "head")
    worker.members.depart(scope, "head", "left", None, author())
    assert held(worker, enrol(worker, scope, parent, "head"))


def test_a_member_of_the_group_enrols_while_it_lives(worker: Worker, scope: Scope) -> None:
    parent = group(worker, scope)
    worker.members.join(scope, "c1", JoinRequest.of("compute"), author())
    assert held(worker, enrol(worker, scope, parent))


@pytest.mark.parametrize("role", ["agent", "reader"])
def test_enrolling_under_a_name_with_an_owners_grant_is_refused(
    worker: Worker, scope: Scope, role: str
) -> None:
    parent = group(worker, scope)
    owned = worker.grants.issue(
        scope,
        GrantRequest.of(role, "c1", "compute"),  # type: ignore[arg-type]
        author(),
    )
    with pytest.raises(Forbidden, match="'c1' already has a grant"):
        enrol(worker, scope, parent)
    worker.grants.revoke(scope, owned.grant.id, author())
    assert held(worker, enrol(worker, scope, parent))


def test_an_expired_grant_reserves_no_name(worker: Worker, scope: Scope) -> None:
    worker.grants.issue(scope, GrantRequest.of("agent", "c1", None, 60), author())
    grants = later(worker, 61)
    assert held(grants, enrol(grants, scope, group(grants, scope)))


def test_two_groups_do_not_share_a_name(worker: Worker, scope: Scope) -> None:
    compute, head = group(worker, scope), group(worker, scope, "head")
    first = enrol(worker, scope, compute)
    with pytest.raises(Forbidden, match="'c1' already has a grant"):
        enrol(worker, scope, head)
    assert held(worker, first)
    worker.grants.revoke(scope, compute.grant.id, author())
    assert held(worker, enrol(worker, scope, head))


def test_only_one_of_two_groups_gets_a_name_that_both_request(world: World, scope: Scope) -> None:
    workers = [world.worker(), world.worker()]
    parents = [group(workers[0], scope, name) for name in ("compute", "head")]
    for name in (f"c{number}" for number in range(10)):
        outcomes: list[str] = []
        together = threading.Barrier(2)

        def take(
            worker: Worker,
            parent: Issued,
            name: str = name,
            together: threading.Barrier = together,
            outcomes: list[str] = outcomes,
        ) -> None:
            together.wait(60)
            try:
                enrol(worker, scope, parent, name)
                outcomes.append("got it")
            except Forbidden:
                outcomes.append("refused")

        threads = [
            threading.Thread(target=take, args=each) for each in zip(workers, parents, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["got it", "refused"]


def test_a_lagging_worker_does_not_issue_a_name_that_is_in_use(world: World, scope: Scope) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        parent = group(slow, scope)
        lagging.lag()
        quick.grants.issue(scope, GrantRequest.of("agent", "c1", None), author())
        quick.members.join(scope, "c2", JoinRequest.of("head"), author())
        for name in ("c1", "c2"):
            with pytest.raises(Forbidden):
                enrol(slow, scope, parent, name)
    finally:
        slow.stop()


# The end of the group's grant


def test_all_members_grants_end_with_the_groups_at_every_worker(world: World, scope: Scope) -> None:
    one, two = world.worker(), world.worker()
    parent = group(one, scope)
    issued = [enrol(one, scope, parent, name) for name in ("c1", "c2")]
    other = enrol(one, scope, group(one, scope, "head"), "h1")
    one.put(scope, "a")
    leases = [lease_of(one, scope, each.grant.id) for each in issued]
    one.grants.revoke(scope, parent.grant.id, author())
    for each in issued:
        assert not held(one, each)
        assert not two.grants.is_valid(each.grant)
        assert not held(two, each)
        with pytest.raises(NotFound):
            one.grants.get(scope, each.grant.id)
    assert not any(one.store.renew_lease(lease, soon()) for lease in leases)
    assert held(one, other)
    with pytest.raises(Unauthorized):
        enrol(one, scope, parent, "c3")


def test_a_members_grant_without_its_groups_grant_is_neither_valid_nor_shown(
    worker: Worker, scope: Scope
) -> None:
    parent = group(worker, scope)
    issued = enrol(worker, scope, parent)
    worker.store.revoke_lease(
        lease_of(worker, scope, parent.grant.id), soon()
    )  # as if it had expired
    worker.store.refresh(soon())
    assert lease_of(worker, scope, issued.grant.id)
    assert not held(worker, issued)
    assert not worker.grants.is_valid(issued.grant)
    assert worker.grants.list(scope, limit=10).items == ()
    for call in (worker.grants.get, lambda *of: worker.grants.renew(*of, None, author())):
        with pytest.raises(NotFound):
            call(scope, issued.grant.id)
    assert held(
        worker, enrol(worker, scope, group(worker, scope, "head"))
    )  # it does not reserve a name


def test_a_members_grant_expires_with_the_groups_grant(worker: Worker, scope: Scope) -> None:
    parent = group(worker, scope, ttl=600)
    issued = enrol(later(worker, 500), scope, parent)
    assert held(later(worker, 599), issued)
    assert later(worker, 599).is_valid(issued.grant)
    assert not held(later(worker, 601), issued)
    assert not later(worker, 601).is_valid(issued.grant)


def test_nothing_is_written_after_the_groups_grant_has_ended(world: World, scope: Scope) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        parent = group(slow, scope)
        by = holder(enrol(slow, scope, parent))
        slow.put(scope, "nodes/c1/a", by=by)
        joined = slow.members.join(scope, "c1", JoinRequest.of("compute"), by)
        lagging.lag()
        # The members' grants remain, as if the worker that revoked the group's grant had crashed.
        quick.store.revoke_lease(lease_of(quick, scope, parent.grant.id), soon())
        generation = joined.member.generation
        before = quick.backend.head(soon())
        writes: list[Callable[[], object]] = [
            lambda: slow.put(scope, "nodes/c1/a", 2, by=by),
            lambda: slow.facts.batch(scope, [Put.of("nodes/c1/c", 1)], [], by),
            lambda: slow.members.set_state(scope, "c1", "ready", generation, by),
            lambda: slow.members.join(scope, "c1", JoinRequest.of("compute"), by),
        ]
        for write in writes:
            with pytest.raises(Unauthorized, match="revoked"):
                write()
        assert quick.backend.head(soon()) == before
    finally:
        slow.stop()


def test_enrolling_with_a_grant_revoked_meanwhile_is_refused(world: World, scope: Scope) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        parent = group(slow, scope)
        lagging.lag()
        quick.grants.revoke(scope, parent.grant.id, author())
        with pytest.raises(Unauthorized):
            enrol(slow, scope, parent)
        assert quick.grants.list(scope, limit=10).items == ()
    finally:
        slow.stop()


# Renewing


def test_the_groups_grant_is_renewed_with_a_members_when_half_of_its_time_is_over(
    worker: Worker, scope: Scope
) -> None:
    parent = group(worker, scope, ttl=600)
    issued = enrol(worker, scope, parent, ttl=400)
    by = holder(issued)
    later(worker, 290).renew(scope, issued.grant.id, None, by)
    assert worker.grants.get(scope, parent.grant.id).expires_at == parent.grant.expires_at
    lease = lease_of(worker, scope, parent.grant.id)
    later(worker, 310).renew(scope, issued.grant.id, None, by)
    assert not worker.store.renew_lease(lease, soon())  # as with all renewals, there is a new one
    renewed = later(worker, 310).get(scope, parent.grant.id)
    assert renewed.ttl == 600
    assert renewed.updated_by == by.user_id
    assert held(later(worker, 700), issued)
    assert held(later(worker, 900), parent)
    assert worker.store.renew_lease(lease_of(worker, scope, parent.grant.id), soon())


def test_a_renewal_that_races_with_the_end_of_the_groups_grant_does_not_restore_it(
    world: World, scope: Scope
) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        parent = group(slow, scope, ttl=600)
        issued = enrol(slow, scope, parent)
        by = holder(issued)
        grants = later(slow, 400)
        get = grants.get

        def gone(*args: object, **more: object) -> object:
            found = get(*args, **more)  # type: ignore[arg-type]
            lagging.lag()
            quick.store.revoke_lease(lease_of(quick, scope, parent.grant.id), soon())
            return found

        grants.get = gone  # type: ignore[method-assign,assignment]
        with pytest.raises(Unauthorized):
            grants.renew(scope, issued.grant.id, None, by)
        assert quick.grants.list(scope, limit=10).items == ()
    finally:
        slow.stop()


def test_a_member_renews_its_grant_for_no_longer_than_it_has(worker: Worker, scope: Scope) -> None:
    issued = enrol(worker, scope, group(worker, scope), ttl=600)
    with pytest.raises(Forbidden):
        worker.grants.renew(scope, issued.grant.id, 601, holder(issued))


def test_a_groups_grant_is_deleted_with_its_stack_and_creates_no_key_afterwards(
    worker: Worker, scope: Scope
) -> None:
    parent = group(worker, scope)
    issued = enrol(worker, scope, parent)
    worker.stacks.delete(scope, author())
    assert not held(worker, parent)
    assert not held(worker, issued)
    with pytest.raises(Unauthorized):
        worker.put(scope, "nodes/c1/a", by=holder(issued))
    with pytest.raises(Unauthorized):
        enrol(worker, scope, parent)
    with pytest.raises(NotFound):
        worker.stacks.get(scope)
