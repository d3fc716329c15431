"""Decisions by policy, and for whom they are kept."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest
from oslo_config import cfg

from factstore.api.identity import Identity
from factstore.core.model.permissions import Permissions
from factstore.policies import facts as rules
from factstore.wsgi import configuration
from factstore.wsgi.ops.policy import CACHE_SECONDS, PolicyAuthorizer
from tests.unit.core.factories import ManualClock

PROJECT = "p"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def authorizer(tmp_path: Path, clock: ManualClock) -> PolicyAuthorizer:
    config = tmp_path / "factstore.conf"
    config.write_text("[oslo_policy]\npolicy_file = policy.yaml\n", encoding="utf-8")
    (tmp_path / "policy.yaml").write_text(
        f'"{rules.GET}": "user_id:alice or grant:agent"\n', encoding="utf-8"
    )
    return PolicyAuthorizer(configuration.read([str(config)]), clock)


def holder(number: int, role: str) -> Identity:
    permissions = Permissions(role, f"m{number}", None, f"g{number}")  # type: ignore[arg-type]
    return Identity(f"grant:g{number}", PROJECT, (), stack="s", permissions=permissions)


def test_holders_of_grants_with_one_role_share_a_decision_and_users_do_not(
    authorizer: PolicyAuthorizer, clock: ManualClock
) -> None:
    decide = authorizer._decide
    with patch.object(authorizer, "_decide", side_effect=decide) as decided:
        for number in range(50):
            assert authorizer(rules.GET, holder(number, "agent"), PROJECT)
            assert not authorizer(rules.GET, holder(number, "reader"), PROJECT)
        assert decided.call_count == 2
        assert authorizer(rules.GET, Identity("alice", PROJECT, ()), PROJECT)
        assert not authorizer(rules.GET, Identity("bob", PROJECT, ()), PROJECT)
        assert not authorizer(rules.GET, Identity("", PROJECT, ()), PROJECT)
        assert decided.call_count == 5
        clock.advance(CACHE_SECONDS)
        assert authorizer(rules.GET, holder(1, "agent"), PROJECT)
        assert decided.call_count == 6


UNUSABLE = [b"- a\n", b"12\n", b"\t- : :\n{", b"\xff\xfe", b"a: b: c\n", b"1: 2\n", b'"a": 12\n']


@pytest.mark.parametrize("content", UNUSABLE)
def test_a_file_of_rules_that_cannot_be_used_is_refused_and_changes_no_rule_later(
    content: bytes,
    authorizer: PolicyAuthorizer,
    tmp_path: Path,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    alice = Identity("alice", PROJECT, ())
    assert authorizer(rules.GET, alice, PROJECT)
    file = tmp_path / "policy.yaml"
    file.write_bytes(content)
    os.utime(file, (2**31, 2**31))  # oslo.policy compares the time of the last change
    clock.advance(CACHE_SECONDS)
    assert authorizer(rules.GET, alice, PROJECT)
    assert (
        f"The former rules remain: [oslo_policy] policy_file, {file}, cannot be used" in caplog.text
    )
    with pytest.raises(cfg.ConfigFileValueError, match="cannot be used"):
        PolicyAuthorizer(configuration.read([str(tmp_path / "factstore.conf")]), clock)
