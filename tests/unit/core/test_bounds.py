"""The bounds of a stack, and the refusals of writes that would exceed them."""

from __future__ import annotations

import pytest

from factstore.core.errors import Forbidden
from factstore.core.operations.bounds import check_bound, quota_exceeded


@pytest.mark.parametrize("used", [0, 9])
def test_another_one_is_allowed_below_the_bound(used: int) -> None:
    check_bound("waiters", used, 10)


@pytest.mark.parametrize("used", [10, 11])
def test_another_one_is_refused_at_the_bound_and_above(used: int) -> None:
    with pytest.raises(Forbidden) as refused:
        check_bound("waiters", used, 10)
    assert refused.value.code == "quota_exceeded"
    assert refused.value.detail == (
        f"The stack has {used} waiters; at most 10 are allowed. Delete some waiters."
    )
    assert refused.value.extra == {"quota": "waiters_per_stack", "limit": 10, "used": used}


def test_a_refusal_names_the_quota_and_its_limit() -> None:
    refusal = quota_exceeded("facts", 5, 4, "Too many.")
    assert (refusal.code, refusal.detail) == ("quota_exceeded", "Too many.")
    assert refusal.extra == {"quota": "facts", "limit": 5, "used": 4}
