"""Permissions of grants: a member reads the stack and writes its own facts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from factstore.core.errors import Forbidden, Invalid
from factstore.core.model.grant import Grant, GrantRequest, digest_of
from factstore.core.model.path import SEGMENT_PATTERN
from factstore.core.model.permissions import OWNER, Permissions
from tests.unit.core.factories import NOW

AGENT = Permissions("agent", "c1", "compute", "g1")
READER = Permissions("reader", None, None, "g2")
GROUP = Permissions("agent", None, "compute", "g3")
"""The permissions of a group's grant."""
SEGMENTS = st.from_regex(f"^{SEGMENT_PATTERN}$", fullmatch=True).map(str.strip)
PATHS = st.lists(
    st.one_of(st.sampled_from(["nodes", "results", "configs", "c1", "c10", "c", "x"]), SEGMENTS),
    min_size=1,
    max_size=5,
).map("/".join)


def allowed(check: object, *args: object) -> bool:
    try:
        check(*args)  # type: ignore[operator]
    except Forbidden:
        return False
    return True


@given(PATHS)
@example("nodes/c1/a")
@example("results/c1/a")
@example("nodes/c1")
@example("nodes/c10/a")
@example("results/c10/a")
@example("nodes/c/a")
@example("configs/c1/a")
@example("x/nodes/c1/a")
def test_an_agent_writes_below_its_own_folders_and_nowhere_else(path: str) -> None:
    own = path.split("/")[:2] in (["nodes", "c1"], ["results", "c1"]) and path.count("/") >= 2
    assert allowed(AGENT.check_write, path) == own
    assert not allowed(READER.check_write, path)
    assert not allowed(GROUP.check_write, path)
    assert allowed(OWNER.check_write, path)
    below = path.split("/")[:2] in (["nodes", "c1"], ["results", "c1"])
    assert allowed(AGENT.check_write_below, path) == below
    assert not below or AGENT.check_write_below(path) == own
    assert OWNER.check_write_below(path)


@given(PATHS)
@example("configs/c1/a")
@example("configs/c10/a")
@example("configs/c1")
@example("configs")
@example("configsx/c2/a")
@example("x/configs/c2/a")
def test_an_agent_reads_everything_except_the_configs_of_other_members(path: str) -> None:
    folders = path.split("/")
    others = folders[0] == "configs" and len(folders) > 1
    own = others and folders[1] == "c1" and len(folders) > 2
    assert AGENT.can_read(path) == (not others or own)
    assert READER.can_read(path) == (not others)
    assert GROUP.can_read(path) == (not others)
    assert OWNER.can_read(path)
    assert allowed(AGENT.check_read, path) == AGENT.can_read(path)


def test_an_agents_grant_is_valid_for_its_own_member_only() -> None:
    assert allowed(AGENT.check_member, "c1")
    assert not allowed(AGENT.check_member, "c10")
    assert not allowed(READER.check_member, "c1")
    assert not allowed(Permissions("reader", "c1").check_member, "c1")
    assert allowed(OWNER.check_member, "c1", "head")


def test_an_agent_joins_the_group_that_its_grant_names() -> None:
    assert allowed(AGENT.check_member, "c1", "compute")
    assert not allowed(AGENT.check_member, "c1", "head")
    assert allowed(Permissions("agent", "c1").check_member, "c1", "head")


@pytest.mark.parametrize("check", [GROUP.check_signal, lambda: GROUP.check_member("c1", "compute")])
def test_a_groups_grant_is_not_a_members_grant_and_the_error_names_the_remedy(
    check: Callable[[], None],
) -> None:
    with pytest.raises(Forbidden, match="group 'compute'; issue a grant for a member"):
        check()


def test_owners_and_agents_may_signal() -> None:
    assert allowed(AGENT.check_signal)
    assert allowed(OWNER.check_signal)


def test_a_groups_grant_issues_grants_for_its_members_only() -> None:
    for request, issued in (
        (("agent", "c1", None), True),
        (("agent", "c1", "compute"), True),
        (("agent", "c1", "head"), False),
        (("agent", None, "compute"), False),
        (("reader", "c1", "compute"), False),
        (("reader", None, None), False),
    ):
        assert allowed(GROUP.check_issue, *request) == issued
        assert not allowed(AGENT.check_issue, *request)
        assert not allowed(READER.check_issue, *request)
        assert not allowed(Permissions("reader", "c1", "compute").check_issue, *request)
        assert allowed(OWNER.check_issue, *request)


def test_the_holder_of_a_groups_grant_can_show_and_renew_but_not_revoke_it() -> None:
    assert allowed(GROUP.check_grant, "g3")
    assert not allowed(GROUP.check_grant, "g1")
    with pytest.raises(Forbidden):
        GROUP.check_grant("g3", revokes=True)
    AGENT.check_grant("g1", revokes=True)
    OWNER.check_grant("g3", revokes=True)


def test_only_owners_declare_members_and_give_reasons() -> None:
    for holder in (AGENT, READER):
        assert allowed(holder.check_declaration)
        assert allowed(holder.check_declaration, None, None)
        assert not allowed(holder.check_declaration, "heat:1", None)
        assert not allowed(holder.check_declaration, None, "scaled_out")
        assert not allowed(holder.check_declaration, "", None)
    assert allowed(OWNER.check_declaration, "heat:1", "scaled_out")


def test_a_holder_can_access_its_own_grant_only() -> None:
    assert allowed(AGENT.check_grant, "g1")
    assert not allowed(AGENT.check_grant, "g2")
    assert allowed(OWNER.check_grant, "g2")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (("owner", "c1", None, 60), "schema"),
        (("agent", None, None, 60), "schema"),
        (("reader", None, "compute", 60), "schema"),
        (("agent", "c1/x", None, 60), "path_invalid"),
        (("agent", "c1", "-x", 60), "path_invalid"),
        (("agent", "c1", None, 59), "ttl_invalid"),
        (("agent", "c1", None, 366 * 24 * 3600 + 1), "ttl_invalid"),
        (("agent", "c1", None, True), "ttl_invalid"),
        (("agent", "c1", None, 60.0), "ttl_invalid"),
    ],
)
def test_an_invalid_request_for_a_grant_is_refused(fields: tuple[object, ...], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        GrantRequest.of(*fields)  # type: ignore[arg-type]
    assert refused.value.code == code


def test_a_request_without_a_ttl_has_the_default() -> None:
    assert GrantRequest.of("reader", None, None) == GrantRequest("reader", None, None, None)


def test_a_grant_for_a_group_names_no_member() -> None:
    assert GrantRequest.of("agent", None, "compute", 60) == GrantRequest(
        "agent", None, "compute", 60
    )
    grant = Grant("s-1", "agent", None, "compute", "", 60, NOW, "alice", NOW, "alice", "req-1")
    assert grant.permissions == Permissions("agent", None, "compute", "s-1")
    assert grant.permissions.issues_member_grants


def test_a_grant_accepts_its_secret_only_and_does_not_contain_it() -> None:
    grant = Grant(
        "s-1", "agent", "c1", None, digest_of("hunter2"), 60, NOW, "alice", NOW, "alice", "req-1"
    )
    assert grant.accepts("hunter2")
    for other in ("hunter", "hunter22", "", "Hunter2", grant.digest):
        assert not grant.accepts(other)
    assert "hunter2" not in repr(grant)
    assert grant.permissions == Permissions("agent", "c1", None, "s-1")
