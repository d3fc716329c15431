"""Grants: their lifetimes and holders, and refusal of writes once a grant has ended."""

from __future__ import annotations

import pytest

from factstore.core.errors import Forbidden, NotFound, Unauthorized
from factstore.core.model.fact import Author, Put, Scope
from factstore.core.model.grant import Grant, GrantRequest
from factstore.core.model.member import JoinRequest
from factstore.core.model.permissions import Permissions
from factstore.core.model.precondition import ABSENT, ANY
from factstore.core.model.quota import Quota
from factstore.core.model.record import RecordKey
from factstore.core.operations.signals import SignalRequest
from factstore.core.services.context_view import ContextView
from factstore.core.services.grants import FRESH_SECONDS, GrantService, Issued
from factstore.core.services.watch_filter import Filter
from tests.contract.granting import DAY, ShiftedClock, later
from tests.contract.lagging_backend import LaggingBackend
from tests.contract.waiting import arm
from tests.contract.world import Worker, World, author, events_since, soon


def issue(worker: Worker, scope: Scope, member: str = "c1", ttl: int = DAY) -> Issued:
    return worker.grants.issue(scope, GrantRequest.of("agent", member, None, ttl), author())


def holder(issued: Issued) -> Author:
    """Return the holder of a grant as the author of a change."""
    made = author(f"grant:{issued.grant.id}")
    return Author(made.user_id, made.request_id, False, issued.grant.id)


def lease_of(worker: Worker, scope: Scope, grant: str) -> int:
    record = worker.store.refresh(soon()).record(scope, RecordKey(Grant, grant))
    assert isinstance(record, Grant)
    return record.lease


# Issuing and using


def test_a_grant_is_valid_only_with_its_secret(worker: Worker, scope: Scope) -> None:
    issued = issue(worker, scope)
    assert worker.grants.authenticate(issued.grant.id, issued.secret) == (
        scope,
        worker.grants.get(scope, issued.grant.id),
    )
    other = issue(worker, scope, "c2")
    for grant, secret in (
        (issued.grant.id, other.secret),
        (issued.grant.id, ""),
        (issued.grant.id, issued.grant.digest),
        (other.grant.id, issued.secret),
        (issued.grant.id[:-1], issued.secret),
        (issued.grant.id.partition("-")[0], issued.secret),
        ("", issued.secret),
        ("-", issued.secret),
    ):
        assert worker.grants.authenticate(grant, secret) is None


def test_all_workers_accept_a_new_grant_at_once(world: World, scope: Scope) -> None:
    one, two = world.worker(), world.worker()
    for _ in range(20):
        issued = issue(one, scope)
        assert two.grants.authenticate(issued.grant.id, issued.secret) is not None


def test_the_first_grant_creates_its_stack(worker: Worker, scope: Scope) -> None:
    issued = issue(worker, scope)
    stack, usage, _ = worker.stacks.get(scope)
    assert issued.grant.id.startswith(f"{stack.id}-")
    assert (usage.facts, usage.bytes) == (1, issued.grant.size)


def test_a_grant_counts_as_a_fact_in_quotas(world: World, scope: Scope) -> None:
    worker = world.worker(quota=Quota(facts_per_stack=2))
    kept = [issue(worker, scope), issue(worker, scope)]
    with pytest.raises(Forbidden) as refused:
        issue(worker, scope)
    assert refused.value.code == "quota_exceeded"
    worker.grants.revoke(scope, kept[0].grant.id, author())
    issue(worker, scope)


def test_grants_are_listed_by_id_all_pages_at_one_revision(worker: Worker, scope: Scope) -> None:
    issued = sorted((issue(worker, scope).grant for _ in range(5)), key=lambda grant: grant.id)
    first = worker.grants.list(scope, limit=2)
    worker.grants.revoke(scope, issued[3].id, author())
    issue(worker, scope)
    second = worker.grants.list(scope, limit=2, marker=first.marker or "", at=first.cursor)
    third = worker.grants.list(scope, limit=2, marker=second.marker or "", at=first.cursor)
    listed = [grant.id for page in (first, second, third) for grant in page.items]
    assert listed == [grant.id for grant in issued]
    assert third.marker is None


def test_grants_cause_no_events_and_are_not_in_the_context(worker: Worker, scope: Scope) -> None:
    worker.put(scope, "a")
    before = worker.context.get(scope)
    issued = issue(worker, scope)
    worker.grants.renew(scope, issued.grant.id, None, author())
    worker.grants.revoke(scope, issued.grant.id, author())
    assert worker.watch.poll(scope, before.cursor, 0, Filter()).events == ()
    assert worker.context.get(scope).etag == before.etag
    target = worker.convergence.get(scope).target
    assert target.revision <= before.cursor.revision


# Ending


def test_a_revoked_grant_is_invalid_at_every_worker(world: World, scope: Scope) -> None:
    one, two = world.worker(), world.worker()
    issued = issue(one, scope)
    assert two.grants.authenticate(issued.grant.id, issued.secret)
    one.grants.revoke(scope, issued.grant.id, author())
    assert one.grants.authenticate(issued.grant.id, issued.secret) is None
    assert not two.grants.is_valid(issued.grant)
    assert two.grants.authenticate(issued.grant.id, issued.secret) is None
    for refused in (one.grants.get, two.grants.get):
        with pytest.raises(NotFound):
            refused(scope, issued.grant.id)
    with pytest.raises(NotFound):
        one.grants.revoke(scope, issued.grant.id, author())


def test_a_grant_expires_with_its_ttl(worker: Worker, scope: Scope) -> None:
    issued = issue(worker, scope, ttl=60)
    for seconds, held in ((59, True), (61, False)):
        grants = later(worker, seconds)
        assert (grants.authenticate(issued.grant.id, issued.secret) is not None) == held
        assert grants.is_valid(issued.grant) == held
    with pytest.raises(NotFound):
        later(worker, 61).get(scope, issued.grant.id)
    with pytest.raises(NotFound):
        later(worker, 61).renew(scope, issued.grant.id, None, author())


def test_a_grant_that_was_proven_is_known_until_it_or_its_parent_ends(
    worker: Worker, scope: Scope
) -> None:
    parent = worker.grants.issue(scope, GrantRequest.of("agent", None, "compute", DAY), author())
    child = worker.grants.issue(scope, GrantRequest.of("agent", "c1", None, 600), holder(parent))
    grants = later(worker, 0)
    assert not grants.is_known(child.grant), "the state has not been compared with the store yet"

    def proven() -> Grant:
        found = grants.authenticate(child.grant.id, child.secret)
        assert found is not None
        return found[1]

    first = proven()
    assert [grants.is_known(first) for _ in range(2)] == [True, True]
    worker.put(scope, "a")
    assert grants.is_known(first)
    grants.renew(scope, child.grant.id, None, holder(child))
    assert not grants.is_known(first), "the record is another one"
    second = proven()
    clock = vars(grants)["_clock"]
    for clock.seconds, known in ((599, True), (601, False), (0, True)):
        assert grants.is_known(second) == known
    grants.revoke(scope, parent.grant.id, author())
    assert not grants.is_known(second)


def test_a_grant_and_its_lease_end_together(worker: Worker, scope: Scope) -> None:
    issued = issue(worker, scope)
    lease = lease_of(worker, scope, issued.grant.id)
    assert worker.store.renew_lease(lease, soon())
    found = worker.grants.authenticate(issued.grant.id, issued.secret)
    assert found is not None
    assert worker.grants.is_known(found[1])
    worker.store.revoke_lease(lease, soon())
    assert worker.store.refresh(soon()).records(scope, Grant) == []
    assert not worker.grants.is_known(found[1])
    second = issue(worker, scope)
    lease = lease_of(worker, scope, second.grant.id)
    worker.grants.revoke(scope, second.grant.id, author())
    assert not worker.store.renew_lease(lease, soon())


def test_a_grant_is_deleted_with_its_stack(worker: Worker, scope: Scope) -> None:
    issued = issue(worker, scope)
    found = worker.grants.authenticate(issued.grant.id, issued.secret)
    assert found is not None
    assert worker.grants.is_known(found[1])
    worker.stacks.delete(scope, author())
    assert not worker.grants.is_known(found[1])
    assert worker.grants.authenticate(issued.grant.id, issued.secret) is None
    worker.put(scope, "a")  # another stack of the same name
    assert worker.grants.authenticate(issued.grant.id, issued.secret) is None


# Renewing


def test_a_renewed_grant_is_valid_for_its_ttl_from_then_on(worker: Worker, scope: Scope) -> None:
    issued = issue(worker, scope, ttl=600)
    lease = lease_of(worker, scope, issued.grant.id)
    renewed = later(worker, 500).renew(scope, issued.grant.id, None, holder(issued))
    assert renewed.expires_at > issued.grant.expires_at
    assert renewed.ttl == 600
    # A former leader of etcd revokes the lease if it does not know of the renewal.
    worker.store.revoke_lease(lease, soon())
    worker.store.refresh(soon())
    assert later(worker, 1000).authenticate(issued.grant.id, issued.secret) is not None
    assert later(worker, 1101).authenticate(issued.grant.id, issued.secret) is None


@pytest.mark.parametrize("ttl", [600, 3600])
def test_a_renewed_grant_leaves_no_lease_behind(worker: Worker, scope: Scope, ttl: int) -> None:
    issued = issue(worker, scope, ttl=600)
    old = lease_of(worker, scope, issued.grant.id)
    renewed = worker.grants.renew(scope, issued.grant.id, ttl, author())
    assert renewed.ttl == ttl
    assert renewed.lease != old
    assert not worker.store.renew_lease(old, soon())
    assert worker.store.renew_lease(renewed.lease, soon())
    assert worker.grants.authenticate(issued.grant.id, issued.secret) is not None


def test_a_holder_renews_its_grant_for_no_longer_than_it_was_issued_for(
    worker: Worker, scope: Scope
) -> None:
    issued = issue(worker, scope, ttl=600)
    with pytest.raises(Forbidden):
        worker.grants.renew(scope, issued.grant.id, 601, holder(issued))
    assert worker.grants.renew(scope, issued.grant.id, 300, holder(issued)).ttl == 300


def test_a_renewal_concurrent_with_a_shorter_one_keeps_the_shorter_lifetime(
    world: World, scope: Scope
) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        issued = issue(slow, scope, ttl=600)
        slow.grants.get(scope, issued.grant.id)
        attempt = slow.grants.get

        def shortened(*args: object, **more: object) -> Grant:
            found = attempt(*args, **more)  # type: ignore[arg-type]
            quick.grants.renew(scope, issued.grant.id, 60, author())
            return found

        slow.grants.get = shortened  # type: ignore[method-assign,assignment]
        assert slow.grants.renew(scope, issued.grant.id, None, holder(issued)).ttl == 60
    finally:
        slow.stop()


# Writing under a grant


def test_nothing_is_written_under_an_ended_grant(worker: Worker, scope: Scope) -> None:
    issued = issue(worker, scope)
    by = holder(issued)
    arm(worker, scope, success={"signals": 1})
    worker.put(scope, "nodes/c1/a", by=by)
    joined = worker.members.join(scope, "c1", JoinRequest.of("g"), by)
    worker.grants.revoke(scope, issued.grant.id, author())
    generation = joined.member.generation
    before = worker.store.refresh(soon()).revision
    for write in (
        lambda: worker.put(scope, "nodes/c1/a", 2, by=by),
        lambda: worker.put(scope, "nodes/c1/b", 2, by=by, ttl=60),
        lambda: worker.facts.delete(scope, "nodes/c1/a", by, ANY),
        lambda: worker.facts.batch(scope, [Put.of("nodes/c1/c", 1)], [], by),
        lambda: worker.members.join(scope, "c1", JoinRequest.of("g"), by),
        lambda: worker.members.set_state(scope, "c1", "ready", generation, by),
        lambda: worker.members.depart(scope, "c1", "left", generation, by),
        lambda: worker.waiters.signal(scope, "w", SignalRequest.of({}), by),
        # These would be refused with a valid grant, too, for other reasons.
        lambda: worker.put(scope, "nodes/c1/a/b", by=by),
        lambda: worker.put(scope, "nodes/c1/a", 1, by=by),
        lambda: worker.facts.delete(scope, "nodes/c1/missing", by, ANY),
        lambda: worker.facts.delete(scope, "nodes/c1/a", by, ABSENT),
        lambda: worker.members.set_state(scope, "c1", "ready", "abc", by),
        lambda: worker.waiters.signal(scope, "missing", SignalRequest.of({}), by),
        lambda: worker.grants.renew(scope, issued.grant.id, None, by),
        lambda: worker.grants.revoke(scope, issued.grant.id, by),
    ):
        with pytest.raises(Unauthorized, match="revoked"):
            write()
    worker.store.refresh(soon())
    assert events_since(worker, scope, before) == []


def test_a_write_that_races_with_a_revocation_loses(world: World, scope: Scope) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        issued = issue(slow, scope)
        by = holder(issued)
        slow.put(scope, "nodes/c1/a", by=by)
        lagging.lag()
        quick.grants.revoke(scope, issued.grant.id, author())
        with pytest.raises(Unauthorized, match="revoked"):
            slow.put(scope, "nodes/c1/a", 2, by=by)
        assert quick.value(scope, "nodes/c1/a") == "1"
    finally:
        slow.stop()


def test_a_deleted_stack_is_not_brought_back_by_its_instances(worker: Worker, scope: Scope) -> None:
    issued = issue(worker, scope)
    by = holder(issued)
    worker.put(scope, "nodes/c1/a", by=by)
    worker.stacks.delete(scope, author())
    for write in (
        lambda: worker.put(scope, "nodes/c1/a", by=by),
        lambda: worker.members.join(scope, "c1", JoinRequest.of("g"), by),
        lambda: worker.members.depart(scope, "c1", "left", "abc", by),
        lambda: worker.grants.renew(scope, issued.grant.id, None, by),
    ):
        with pytest.raises(Unauthorized):
            write()
    with pytest.raises(NotFound):
        worker.stacks.get(scope)
    worker.put(scope, "b")
    with pytest.raises(Unauthorized):  # the new stack is not theirs
        worker.put(scope, "nodes/c1/a", by=by)
    assert worker.paths(scope) == ["b"]


def test_a_concurrent_renewal_of_a_grant_does_not_refuse_a_write(
    world: World, scope: Scope
) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        issued = issue(slow, scope)
        slow.put(scope, "nodes/c1/a", by=holder(issued))
        lagging.lag()
        quick.grants.renew(scope, issued.grant.id, None, author())
        slow.put(scope, "nodes/c1/a", 2, by=holder(issued))
        assert quick.value(scope, "nodes/c1/a") == "2"
    finally:
        slow.stop()


# Reading under a grant


def test_configs_of_others_are_hidden_on_every_page(worker: Worker, scope: Scope) -> None:
    paths = [f"configs/c{n}/{name}" for n in range(6) for name in "ab"] + ["x", "y"]
    worker.batch(scope, paths)
    for permissions, seen in (
        (Permissions("agent", "c3"), ["configs/c3/a", "configs/c3/b", "x", "y"]),
        (Permissions("reader"), ["x", "y"]),
    ):
        first = worker.facts.list(scope, limit=1, permissions=permissions)
        worker.put(scope, "zz")  # from now on the pages show the past
        listed, page = list(first.items), first
        while page.marker is not None:
            page = worker.facts.list(
                scope, limit=1, marker=page.marker, at=first.cursor, permissions=permissions
            )
            assert page.marker is None or permissions.can_read(page.marker)
            listed += page.items
        assert [fact.path for fact in listed] == seen
        worker.delete(scope, "zz")


def test_a_context_leaves_out_configs_of_others(worker: Worker, scope: Scope) -> None:
    worker.batch(scope, ["a", "configs/c1/x"])
    one, two, nobody = Permissions("agent", "c1"), Permissions("agent", "c2"), Permissions("reader")

    def texts(permissions: Permissions) -> str:
        return worker.context.get(scope, ContextView(permissions=permissions)).text

    assert texts(one) == worker.context.get(scope).text
    assert "configs" not in texts(two)
    assert texts(two) == texts(nobody)
    known = worker.context.get(scope, ContextView(permissions=two)).etag
    worker.put(scope, "configs/c1/x", 2)  # other readers are not notified
    assert worker.context.get(scope, ContextView(permissions=two)).etag == known
    worker.put(scope, "configs/c2/x", 2)
    assert worker.context.get(scope, ContextView(permissions=two)).etag != known
    assert worker.context.get(scope, ContextView(permissions=nobody)).etag == known


def test_events_leave_out_configs_of_others(worker: Worker, scope: Scope) -> None:
    start = worker.put(scope, "a").revision
    worker.batch(scope, ["b", "configs/c1/x", "configs/c2/x"])
    worker.put(scope, "configs/c2/x", 2)
    since = worker.cursor(start)
    for permissions, seen in (
        (Permissions("agent", "c1"), [["b", "configs/c1/x"]]),
        (Permissions("reader"), [["b"]]),
        (Permissions("agent", "c2"), [["b", "configs/c2/x"], ["configs/c2/x"]]),
    ):
        poll = worker.watch.poll(scope, since, 0, Filter(permissions=permissions))
        assert [[change.path for change in event.changes] for event in poll.events] == seen
        frames = worker.watch.stream(scope, None, True, Filter(permissions=permissions), True)
        snapshot = next(frames)
        assert all(permissions.can_read(fact.path) for fact in snapshot.facts)  # type: ignore[union-attr]
        frames.close()  # type: ignore[attr-defined]


# Without a recent answer from the database


def test_a_worker_with_an_outdated_state_reads_etcd_before_it_accepts_a_grant(
    world: World, scope: Scope
) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        issued = issue(quick, scope)
        clock = ShiftedClock(0)
        now = [100.0]
        clock.monotonic = lambda: now[0]  # type: ignore[method-assign]
        grants = GrantService(slow.store, clock, 1e9, slow.transactor)
        assert grants.authenticate(issued.grant.id, issued.secret)
        lagging.lag()
        quick.grants.revoke(scope, issued.grant.id, author())
        now[0] += FRESH_SECONDS - 0.1
        # The revocation has not arrived yet.
        assert grants.authenticate(issued.grant.id, issued.secret)
        now[0] += 0.2
        assert grants.authenticate(issued.grant.id, issued.secret) is None
    finally:
        slow.stop()
