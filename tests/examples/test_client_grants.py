"""The client's grants, and programs that use one, against the service itself."""

from __future__ import annotations

import pytest

from factstore.client import GrantRecord, Put, Stack, connect, errors
from tests.http import fresh_stack
from tests.service import ApiServer


@pytest.fixture
def stack(environ: dict[str, str]) -> Stack:
    """Return a stack that does not exist yet, for its owner."""
    return connect(environ).stack(fresh_stack())


@pytest.fixture
def name(stack: Stack) -> str:
    return stack.configure().name


def holding(api: ApiServer, grant: GrantRecord, name: str) -> Stack:
    """Return the stack for the holder of a grant."""
    user, _, password = (grant.token or "").partition(".")
    environ = {
        "OS_AUTH_TYPE": "http_basic",
        "OS_ENDPOINT": api.url,
        "OS_USERNAME": user,
        "OS_PASSWORD": password,
    }
    return connect(environ).stack(name)


def test_an_instance_takes_part_with_nothing_but_a_grant(
    api: ApiServer, stack: Stack, name: str
) -> None:
    mine = holding(api, stack.issue_grant(member="c1", group="compute"), name)
    c1 = mine.member("c1")
    generation = c1.join("compute").generation
    mine.put("nodes/c1/ip", "10.0.0.1", member="c1", generation=generation)
    mine.batch([Put("nodes/c1/up", True), Put("results/c1/run", 0)], generation=generation)
    stack.put("nodes/head/ip", "10.0.0.9")
    context = mine.context(member="c1")
    assert context.document["facts"]["nodes"]["head"] == {"ip": "10.0.0.9"}
    assert context.document["self"]["facts"] == {"ip": "10.0.0.1", "up": True}
    c1.heartbeat(applied=context.cursor)
    assert mine.convergence().converged
    for write in (
        lambda: mine.put("nodes/head/ip", "10.6.6.6"),
        lambda: mine.batch([Put("nodes/c1/up", False), Put("shared", 1)]),
        lambda: mine.member("head").join("compute"),
        lambda: mine.waiter("w").arm({"signals": 1}),
        lambda: mine.issue_grant(member="c1"),
        lambda: mine.configure(description="mine"),
        lambda: mine.delete_stack(),
    ):
        with pytest.raises(errors.Forbidden):
            write()
    c1.depart()


def test_a_grant_is_shown_renewed_and_revoked(api: ApiServer, stack: Stack, name: str) -> None:
    issued = stack.issue_grant(member="c1", ttl=600)
    assert issued.token is not None
    assert issued.token.partition(".")[2] not in repr(issued)
    assert (issued.role, issued.member, issued.group, issued.ttl) == ("agent", "c1", None, 600)
    other = stack.issue_grant(role="reader")
    assert {grant.id for grant in stack.grants()} == {issued.id, other.id}
    mine = holding(api, issued, name).grant(issued.id)
    assert mine.show().token is None
    assert mine.renew().expires_at > issued.expires_at
    assert stack.grant(issued.id).renew(ttl=3600).ttl == 3600
    with pytest.raises(errors.Forbidden):
        mine.renew(ttl=7200)
    mine.revoke()
    for _ in range(2):  # one of them may be another worker's to answer
        with pytest.raises(errors.Unauthorized):
            mine.show()
    stack.grant(issued.id).revoke()  # is gone, and so it shall be
    with pytest.raises(errors.NotFound):
        stack.grant(issued.id).show()
    assert [grant.id for grant in stack.grants()] == [other.id]


def test_a_watch_under_a_grant_leaves_out_configs_of_others(
    api: ApiServer, stack: Stack, name: str
) -> None:
    mine = holding(api, stack.issue_grant(member="c1"), name)
    with mine.watch() as watch:
        stack.put("configs/c2/site", "not for c1")
        stack.put("configs/c1/site", "for c1")
        event = next(watch)
    assert [change.path for change in event.changes] == ["configs/c1/site"]  # type: ignore[union-attr]


def test_an_instance_gets_its_own_with_the_grant_of_its_group(
    api: ApiServer, stack: Stack, name: str
) -> None:
    group = stack.issue_grant(group="compute", ttl=600)
    assert (group.role, group.member, group.group) == ("agent", None, "compute")
    mine = holding(api, group, name)
    own = mine.issue_grant(member="c1")
    assert (own.member, own.group, own.ttl) == ("c1", "compute", 600)
    assert own.created_by == f"grant:{group.id}"
    holding(api, own, name).member("c1").join("compute")
    for refused in (
        lambda: mine.put("nodes/c1/a", 1),
        lambda: mine.issue_grant(member="c2", group="head"),
        lambda: mine.issue_grant(group="compute"),
        mine.grant(group.id).revoke,
    ):
        with pytest.raises(errors.Forbidden):
            refused()
    stack.grant(group.id).revoke()
    with pytest.raises(errors.NotFound):
        stack.grant(own.id).show()
