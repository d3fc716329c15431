"""Renewal of a grant when half of its lifetime is over."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from factstore.agent.session.grant_renewal import GrantRenewal
from factstore.client.errors import Unavailable


@dataclass
class Terms:
    ttl: int
    expires_at: str
    remaining: float | None


class Grant:
    """A grant with a lifetime of 1000 seconds, issued at second 0."""

    def __init__(self) -> None:
        self.now = 0.0
        self.end = 1000.0
        self.renewals = 0
        self.fails = False
        self.dated = True

    def show(self) -> Terms:
        # The time of expiry is that of another clock, which is decades away from the agent's.
        remaining = self.end - self.now if self.dated else None
        return Terms(1000, "1970-01-01T00:00:00Z", remaining)

    def renew(self) -> Terms:
        if self.fails:
            raise Unavailable("not now")
        self.renewals += 1
        self.end = self.now + 1000
        return self.show()


def test_a_grant_is_renewed_when_half_of_its_lifetime_is_over() -> None:
    grant = Grant()
    renewal = GrantRenewal(grant, lambda: grant.now)
    assert renewal.renew_if_due() == 500
    grant.now = 499
    assert (renewal.renew_if_due(), grant.renewals) == (1, 0)
    grant.now = 500
    assert (renewal.renew_if_due(), grant.renewals) == (500, 1)


def test_a_grant_with_less_than_half_of_its_lifetime_left_is_renewed_at_once() -> None:
    grant = Grant()
    grant.now = 900
    assert GrantRenewal(grant, lambda: grant.now).renew_if_due() == 500
    assert grant.renewals == 1


def test_a_failed_renewal_is_repeated() -> None:
    grant = Grant()
    grant.now, grant.fails = 600, True
    renewal = GrantRenewal(grant, lambda: grant.now)
    with pytest.raises(Unavailable):
        renewal.renew_if_due()
    grant.fails = False
    renewal.renew_if_due()
    assert grant.renewals == 1


def test_a_grant_is_renewed_at_once_if_its_remaining_lifetime_is_not_known() -> None:
    grant = Grant()
    grant.dated = False
    assert GrantRenewal(grant, lambda: grant.now).renew_if_due() == 500
    assert grant.renewals == 1
