"""Renewing a grant when half of its time is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from factstore.agent.session.grant_renewal import Renewal
from factstore.client.errors import Unavailable


@dataclass
class Terms:
    ttl: int
    expires_at: str


class Grant:
    """A grant of 1000 seconds, made at second 0."""

    def __init__(self) -> None:
        self.now = 0.0
        self.end = 1000.0
        self.renewals = 0
        self.fails = False

    def show(self) -> Terms:
        return Terms(1000, datetime.fromtimestamp(self.end, UTC).isoformat().replace("+00:00", "Z"))

    def renew(self) -> Terms:
        if self.fails:
            raise Unavailable("not now")
        self.renewals += 1
        self.end = self.now + 1000
        return self.show()


def test_it_is_renewed_when_half_of_its_time_is_over_and_not_before() -> None:
    grant = Grant()
    renewal = Renewal(grant, lambda: grant.now)
    assert renewal.attend() == 500
    grant.now = 499
    assert (renewal.attend(), grant.renewals) == (1, 0)
    grant.now = 500
    assert (renewal.attend(), grant.renewals) == (500, 1)


def test_one_that_has_less_than_half_left_is_renewed_at_once() -> None:
    grant = Grant()
    grant.now = 900
    assert Renewal(grant, lambda: grant.now).attend() == 500
    assert grant.renewals == 1


def test_a_renewal_that_failed_is_tried_again() -> None:
    grant = Grant()
    grant.now, grant.fails = 600, True
    renewal = Renewal(grant, lambda: grant.now)
    with pytest.raises(Unavailable):
        renewal.attend()
    grant.fails = False
    renewal.attend()
    assert grant.renewals == 1
