"""oslo.policy rules: who may do what, one rule for each operation, nobody by default."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from oslo_policy import policy

from factstore.policies import base, facts, grants, limits, members, stacks, waiters


def list_rules() -> Iterable[policy.RuleDefault]:
    """Entry point of ``oslo.policy.policies``."""
    return itertools.chain(
        base.RULES,
        stacks.RULES,
        facts.RULES,
        members.RULES,
        waiters.RULES,
        grants.RULES,
        limits.RULES,
    )
