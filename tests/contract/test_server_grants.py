"""Grants of servers of Nova, which ask for theirs when they boot."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from factstore.core.model.fact import Scope
from factstore.core.model.grant import IssuedGrant
from factstore.core.model.instance import InstanceRequest
from factstore.core.model.member import JoinRequest
from factstore.core.operations import instance_grants
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.instance_grants import INSTANCE_TTL
from factstore.core.state.state import State
from tests.contract.granting import DAY, later
from tests.contract.lagging_backend import LaggingBackend
from tests.contract.world import Worker, World, author
from tests.sealing_keys import make_keys, sealing_with


def server(name: str, host: str = "c1") -> InstanceRequest:
    """Return the request of a server in the group compute."""
    properties = {"factstore_stack": name, "factstore_group": "compute"}
    found = InstanceRequest.of(uuid.uuid4().hex, host, properties)
    assert found is not None
    return found


@pytest.fixture
def encryption(tmp_path: Path) -> Encryption:
    return sealing_with(make_keys(tmp_path / "keys"))


def test_the_name_of_a_server_that_was_deleted_is_free_for_the_next(
    worker: Worker, scope: Scope, encryption: Encryption
) -> None:
    worker.stacks.put(scope, "", author())
    first, second, third = (server(scope.stack) for _ in range(3))

    def member(request: InstanceRequest, seconds: float) -> str | None:
        grants = later(worker, seconds, encryption)
        return grants.issue_to_instance(scope.project_id, request, author()).grant.member

    assert member(first, 0) == "c1"
    assert member(second, 60) == f"c1-{second.id[:8]}", "the first may still boot"
    assert member(third, 3600) == "c1", "the first has not joined"
    assert member(second, 3600) == f"c1-{second.id[:8]}"
    worker.members.join(scope, "c1", JoinRequest("compute", 30, "{}"), author())
    assert member(server(scope.stack), 7200) != "c1", "the third has joined"


def test_servers_of_one_name_are_two_members_even_if_two_workers_answer_at_once(
    world: World, scope: Scope, encryption: Encryption
) -> None:
    lagging = LaggingBackend(world.backend())
    slow, quick = Worker(lagging).start(), world.worker()  # type: ignore[arg-type]
    try:
        slow.stacks.put(scope, "", author())
        first, second = server(scope.stack), server(scope.stack)
        late, early = later(slow, 0, encryption), later(quick, 0, encryption)
        other = server(scope.stack, "c0")  # makes the stack's data key, on which all others depend
        late.issue_to_instance(scope.project_id, other, author())
        read_state, names = late._state, []

        def overtaken(*, stale: bool = False) -> State:
            found = read_state(stale=stale)
            if not names:
                lagging.lag()
                issued = early.issue_to_instance(scope.project_id, first, author())
                names.append(issued.grant.member)
            return found

        late._state = overtaken  # type: ignore[method-assign]
        issued = late.issue_to_instance(scope.project_id, second, author())
        assert [*names, issued.grant.member] == ["c1", f"c1-{second.id[:8]}"]
        again = early.issue_to_instance(scope.project_id, first, author())
        assert again.grant.member == "c1"
    finally:
        slow.stop()


def test_a_server_has_one_grant_until_half_of_its_time_has_passed(
    worker: Worker, scope: Scope, encryption: Encryption
) -> None:
    worker.stacks.put(scope, "", author())
    request = server(scope.stack)

    def issue_at(seconds: float) -> IssuedGrant:
        grants = later(worker, seconds, encryption)
        return grants.issue_to_instance(scope.project_id, request, author())

    first = issue_at(0)
    same = issue_at(DAY)
    assert (same.secret, same.grant.expires_at) == (first.secret, first.grant.expires_at)
    renewed = issue_at(INSTANCE_TTL - DAY)
    assert (renewed.grant.id, renewed.secret) == (first.grant.id, first.secret)
    assert renewed.grant.expires_at > first.grant.expires_at
    after = issue_at(3 * INSTANCE_TTL)
    assert after.grant.id == first.grant.id
    assert after.grant.member == first.grant.member
    assert after.secret != first.secret, "it had expired"
    assert later(worker, 3 * INSTANCE_TTL).authenticate(after.grant.id, first.secret) is None


def test_the_secret_of_a_server_that_an_earlier_version_has_issued_stays_the_same(
    worker: Worker, scope: Scope, encryption: Encryption, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.stacks.put(scope, "", author())
    grants, request = later(worker, 0, encryption), server(scope.stack)

    def issue() -> IssuedGrant:
        return grants.issue_to_instance(scope.project_id, request, author())

    with monkeypatch.context() as earlier:
        unsigned = lambda random, grant_id, key: instance_grants.as_text(random)  # noqa: E731
        earlier.setattr(instance_grants, "signed_secret", unsigned)
        first = issue()
    again = issue()
    assert (again.grant.id, again.secret) == (first.grant.id, first.secret)
    assert grants.authenticate(again.grant.id, first.secret)
